"""Sensors: observation, candidate runs, schedules of retired DAGs, automatic rollback."""
