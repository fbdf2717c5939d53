"""`parity rehearse`: both sides of a window in a folder of their own."""
