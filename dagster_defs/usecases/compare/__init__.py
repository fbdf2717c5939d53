"""`parity compare`: any two relations, by arguments or by a file."""
