"""A dbt project with a past: two units, one that reads the other's models, and days of events in Parquet."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg
import duckdb
import pytest
import yaml

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.parity import Side
from tests.support.estate import foreign_environment
from tests.support.owned import bring_to
from tests.support.trees import component_tree

DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
UPSTREAM, TOTALS, NAMES = "up__build", "own__totals", "own__names"

_WINDOW = {"min": {"template": "{{ data_interval_start | ds }}", "bound": "lower"},
           "max": {"template": "{{ data_interval_end | ds }}", "bound": "upper"}}  # fmt: skip
_SCHEDULE = {"cron": "@daily", "start": DAYS[0]}
_IN_WINDOW = "day >= cast('{{ var(\"min\") }}' as date) and day < cast('{{ var(\"max\") }}' as date)"
_INCREMENTAL = (
    "{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='day') }}"
)

FILES = {
    "dbt_project.yml": """
name: small
profile: small
flags: {send_anonymous_usage_stats: false}
vars: {min: '1900-01-01', max: '2200-01-01'}
on-run-start: create or replace macro twice(a) as a * 2
""",
    "profiles.yml": """
small:
  target: legacy
  outputs:
    legacy: {type: duckdb, path: ../data/legacy.duckdb, schema: main}
    candidate: {type: duckdb, path: ../data/candidate.duckdb, schema: main}
""",
    "models/stg_events.sql": "{{ config(materialized='view') }} select day, n from '../data/*.parquet'",
    "models/stg_later.sql": """
{{ config(materialized='view') }}
with s as (select day, n from {{ ref('stg_events') }}) select day, n as "n of day" from s where n > 0""",
    "models/stg_twice.sql": "{{ config(materialized='view') }} select day, twice(n) as n2 from {{ ref('stg_events') }}",
    "models/events.sql": f"{_INCREMENTAL} select day, n from {{{{ ref('stg_events') }}}} where {_IN_WINDOW}",  # noqa: S608 - a model's text
    "models/names.sql": "{{ config(materialized='table') }} select 1 as id, 'one' as name",
    # Adds up everything up to its day: without a past it would be wrong.
    "models/totals.sql": f"""
{_INCREMENTAL}
select e.day, e.n + {{% if is_incremental() %}}
    coalesce((select max(total) from {{{{ this }}}} as t where t.day < e.day), 0) {{% else %}} 0 {{% endif %}} as total,
    later."n of day" as later, twice.n2
from {{{{ ref('events') }}}} as e
join {{{{ ref('stg_later') }}}} as later on later.day = e.day
join {{{{ ref('stg_twice') }}}} as twice on twice.day = e.day
where e.{_IN_WINDOW.replace(" and day", " and e.day")}""",  # noqa: S608 - a model's text
    "snapshots/names_history.yml": """
snapshots:
  - name: names_history
    relation: ref('names')
    config: {strategy: check, unique_key: id, check_cols: [name]}
""",
}
UNITS: list[dict[str, Any]] = [
    {"unit": "up.build", "select": "stg_events stg_later stg_twice events names", "vars": _WINDOW,
     "compare": [{"name": "events", "key": ["day"], "time_column": "day"}]},
    {"unit": "own.totals", "select": "totals", "vars": _WINDOW,
     "compare": [{"name": "totals", "key": ["day"], "time_column": "day"}]},
    {"unit": "own.names", "select": "names_history", "command": "snapshot"},
]  # fmt: skip


@dataclass
class Small:
    """The project below `root`, its definitions, and an event log."""

    root: Path
    instance: dg.DagsterInstance
    definitions: dg.Definitions
    airflow_url: str

    @classmethod
    def make(
        cls,
        root: Path,
        instance: dg.DagsterInstance,
        airflow_url: str,
        anew: Collection[str] = (),
        executable: str = "",
        files: Mapping[str, str] = MappingProxyType({}),
    ) -> Small:
        """`anew`: units that refresh fully. `executable`: the dbt of all units; `files`: more of the dbt project."""
        for name, text in {**FILES, **files}.items():
            path = root / "dbt" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        path = root / "own_defs" / "defs.yaml"
        path.parent.mkdir()
        path.write_text(
            "---\n".join(
                yaml.safe_dump(
                    {
                        "type": "dagster_defs.components.DbtUnit",
                        "attributes": {
                            "schedule": _SCHEDULE,
                            **unit,
                            "full_refresh": unit["unit"] in anew,
                            "dbt": {"executable": executable},
                        },
                    }
                )
                for unit in UNITS
            )
        )
        (root / "data").mkdir()
        small = cls(root, instance, dg.Definitions(), airflow_url)
        for number, day in enumerate(DAYS, start=1):
            small.deliver(day, number)
        small.definitions = small._load()
        return small

    def deliver(self, day: str, n: int) -> None:
        duckdb.execute(f"copy (select date '{day}' as day, {n} as n) to '{self.root}/data/{day}.parquet'")

    def _load(self) -> dg.Definitions:
        from dagster_defs.adapters.dbt import workspaces

        with pytest.MonkeyPatch.context() as monkeypatch, self.entered():
            monkeypatch.setattr(workspaces, "_WORKSPACES", {})
            return component_tree(self.root / "own_defs", self.root).build_defs()

    @contextmanager
    def entered(self) -> Iterator[None]:
        import os

        with pytest.MonkeyPatch.context() as monkeypatch:
            for name in os.environ.keys() - foreign_environment().keys():
                if name != "DAGSTER_HOME":
                    monkeypatch.delenv(name)
            monkeypatch.setenv("AIRFLOW_URL", self.airflow_url)
            monkeypatch.setenv("AIRFLOW_USER", "admin")
            monkeypatch.setenv("AIRFLOW_PASSWORD", "admin")
            monkeypatch.setenv("PARITY_PROXIED_STATE", str(self.root / "proxied_state"))
            yield

    def workspace(self, side: Side) -> DbtWorkspace:
        return DbtWorkspace(self.root / "dbt", side.value)

    @property
    def workspaces(self) -> tuple[DbtWorkspace, DbtWorkspace]:
        return self.workspace(Side.LEGACY), self.workspace(Side.CANDIDATE)

    def run(self, job: str, day: str, *, must_succeed: bool = True) -> dg.ExecuteInProcessResult:
        job_def = self.definitions.resolve_job_def(job)
        with self.entered():
            if job_def.tags.get("parity/side") == "legacy":
                bring_to(self.root / "proxied_state", Unit.parse(job_def.tags["parity/unit"]), Stage.RETIRED)
            return job_def.execute_in_process(
                instance=self.instance, tags={"dagster/partition": day}, raise_on_error=must_succeed
            )

    def verdict(self, job: str, day: str) -> Mapping[str, Any]:
        """The metadata of the candidate run's only comparison."""
        [evaluation] = [
            each for each in self.run(job, day).get_asset_check_evaluations() if each.check_name == "parity"
        ]
        return {name: value.value for name, value in evaluation.metadata.items()}

    def file(self, side: Side) -> Path:
        return self.root / "data" / f"{side.value}.duckdb"

    def query(self, side: Side, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.file(side)), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def execute(self, side: Side, sql: str) -> None:
        with duckdb.connect(str(self.file(side))) as connection:
            connection.execute(sql)
