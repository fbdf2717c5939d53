"""Dagster: its GraphQL API, its event log, and the project that it loads."""
