"""PostgreSQL: reading both sides, and the start of a candidate run."""
