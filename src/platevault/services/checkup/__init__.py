"""Checks of the machine, the state and the datastores, each with what to do about it."""
