"""Generated estates: a dbt project, and a code location in which every model is a unit of its own."""

from __future__ import annotations

from pathlib import Path

import yaml

from bench.projects import write_project
from dagster_defs.adapters.files import atomic

TASKS_OF_A_DAG = 10
PACKAGE = "bench_estate"

_PYPROJECT = f"""\
[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "{PACKAGE}"
"""
_DEFINITIONS = """\
from pathlib import Path

import dagster as dg

from dagster_defs.components.project import load_project


@dg.definitions
def defs():
    return load_project(Path(__file__).parent, sole=True)
"""
_STOCK = """\
from pathlib import Path

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

PROJECT = DbtProject(Path(__file__).parent.parent / "stock_dbt", target="legacy")
PROJECT.prepare_if_dev()


@dbt_assets(
    manifest=PROJECT.manifest_path,
    project=PROJECT,
    partitions_def=dg.DailyPartitionsDefinition("2023-01-01"),
)
def models(context: dg.AssetExecutionContext, dbt: DbtCliResource):
    yield from dbt.cli(["build"], context=context).stream()


defs = dg.Definitions(assets=[models], resources={"dbt": DbtCliResource(PROJECT)})
"""


def write_estate(folder: Path, units: int) -> Path:
    """A project root with two code locations over the same models: `bench_estate.definitions`, `bench_estate.stock`.

    Ten units for each DAG, whose documents stand in one file.
    """
    package = write_location(folder)
    atomic.write_text(package / "stock.py", _STOCK)
    write_project(folder / "dbt", units, targets=("legacy", "candidate"))
    write_project(folder / "stock_dbt", units)
    for first in range(0, units, TASKS_OF_A_DAG):
        documents = [_document(number) for number in range(first, min(first + TASKS_OF_A_DAG, units))]
        text = yaml.safe_dump_all(documents, sort_keys=False)
        atomic.write_text(package / "defs" / f"dag_{first // TASKS_OF_A_DAG:04}" / "defs.yaml", text)
    return folder


def write_location(folder: Path) -> Path:
    """A project root with a code location that has no mirrors yet; its package is returned."""
    package = folder / PACKAGE
    atomic.write_text(folder / "pyproject.toml", _PYPROJECT)
    atomic.write_text(package / "__init__.py", "")
    atomic.write_text(package / "definitions.py", _DEFINITIONS)
    atomic.write_text(package / "defs" / "__init__.py", "")
    return package


def _document(number: int) -> dict[str, object]:
    variables = {
        "min_date": {"template": "{{ data_interval_start | ds }}", "bound": "lower"},
        "max_date": {"template": "{{ data_interval_end | ds }}", "bound": "upper"},
    }
    dag = number // TASKS_OF_A_DAG
    return {
        "type": "dagster_defs.components.DbtUnit",
        "attributes": {
            "unit": f"dag_{dag:04}.build_m_{number}",
            "schedule": {"cron": f"{dag % 60} {dag % 24} * * *", "start": "2023-01-01"},
            "select": f"m_{number}",
            "vars": variables,
            "retries": 2,
            "retry_delay": 30,
            "compare": [{"name": f"m_{number}", "key": ["id"], "time_column": "day"}],
        },
    }
