"""Moves of units: proposed from facts, carried out step by step."""
