"""Warehouses: one folder for each, and the places in them where the sides of a comparison are."""
