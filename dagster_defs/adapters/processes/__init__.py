"""Child processes, and that none of them is left behind."""
