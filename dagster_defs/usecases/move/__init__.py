"""Moves of units: proposed on facts, carried out step by step."""
