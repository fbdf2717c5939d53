"""Child processes, none of which is left behind."""
