"""Measurements, one module a figure; see README.md."""
