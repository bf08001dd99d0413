"""Requests inside of backup and reader sessions: HTTP/2 on one side, the sessions of `services` on the other."""
