"""Datastores in PBS-compatible directories."""
