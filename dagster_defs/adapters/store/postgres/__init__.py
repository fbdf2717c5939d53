"""The record in a schema of its own in a PostgreSQL database, such as Dagster's."""
