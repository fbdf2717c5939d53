"""The record of the moves: the ledger, and the marks that Airflow reads."""
