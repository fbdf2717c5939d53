"""Figures, each beside its peer of the same run: `make bench`."""
