"""Where a unit stands on its way from Airflow to Dagster, and who owns it. Pure: no clock, no network, no files."""

from dagster_defs.lifecycle.units import Owner, Stage, Unit, UnitState, state_of

__all__ = ["Owner", "Stage", "Unit", "UnitState", "state_of"]
