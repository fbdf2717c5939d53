"""Generated dbt projects, as large as a bench needs them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from dagster_defs.adapters.files import atomic

LAYERS = 10


def write_project(folder: Path, models: int, targets: Sequence[str] = ("legacy",)) -> Path:
    """A project of that many models in ten layers, each with a description, two columns and a test.

    Every tenth model reads the window variables; `m_0` of the first layer is tagged `first`.
    """
    (folder / "models").mkdir(parents=True)
    project = {
        "name": "synthetic",
        "version": "1.0.0",
        "profile": "synthetic",
        "model-paths": ["models"],
        "flags": {"send_anonymous_usage_stats": False},
    }
    files = {"legacy": "synthetic.duckdb"}
    outputs = {
        target: {"type": "duckdb", "path": str(folder / files.get(target, f"{target}.duckdb")), "threads": 2}
        for target in targets
    }
    profile = {"synthetic": {"target": targets[0], "outputs": outputs}}
    atomic.write_text(folder / "dbt_project.yml", yaml.safe_dump(project))
    atomic.write_text(folder / "profiles.yml", yaml.safe_dump(profile))
    width = max(1, models // LAYERS)
    for number in range(models):
        layer = folder / "models" / f"layer_{number // width}"
        atomic.write_text(layer / f"m_{number}.sql", _sql(number, width))
        properties = yaml.safe_dump(_properties(number), sort_keys=False)
        atomic.write_text(layer / f"m_{number}.yml", properties)
    return folder


def _sql(number: int, width: int) -> str:
    tag = "{{ config(tags=['first']) }}\n" if number == 0 else ""
    source = (
        "(select 1 as id, current_date as day)" if number < width else f"{{{{ ref('m_{number - width}') }}}}"
    )
    window = (
        "where day >= '{{ var('min_date') }}' and day < '{{ var('max_date') }}'" if number % 10 == 0 else ""
    )
    return f"{tag}select id, day from {source} {window}\n"  # noqa: S608 - a template for dbt, run nowhere else


def _properties(number: int) -> dict[str, object]:
    columns = [{"name": "id", "data_tests": ["not_null"]}, {"name": "day"}]
    return {"models": [{"name": f"m_{number}", "description": f"Model {number}.", "columns": columns}]}
