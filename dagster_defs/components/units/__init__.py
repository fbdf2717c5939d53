"""Mirrors of legacy tasks."""
