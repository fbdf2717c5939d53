"""Measurements, each next to its peer from the same run: `make bench`."""
