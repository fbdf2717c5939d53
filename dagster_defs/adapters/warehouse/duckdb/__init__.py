"""DuckDB: reading both sides, and starting a candidate run."""
