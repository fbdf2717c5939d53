"""`parity compare`: any two relations, given as arguments or in a file."""
