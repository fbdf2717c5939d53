"""The code location: everything below defs/, loaded without Airflow, network or environment."""

from pathlib import Path

import dagster as dg

from dagster_defs.components.project import load_project


@dg.definitions
def defs() -> dg.Definitions:
    return load_project(Path(__file__).parent, sole=True)
