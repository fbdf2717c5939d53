"""Warehouses: one folder for each, and where the sides of a comparison lie in them."""
