"""Finds what somebody has to be told, and tells it once."""
