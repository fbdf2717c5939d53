"""DAGs whose dbt calls have typed variables, options in the environment or no selection, as Airflow exports them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from dagster_defs.components import DbtUnit
from dagster_defs.inventory import Inventory
from dagster_defs.lifecycle.agreement import Facet
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory
from dagster_defs.usecases.scaffold import scaffold
from dagster_defs.usecases.verify import verify_mirrors
from tests.support.estate import AIRFLOW_PYTHON, ROOT
from tests.support.trees import component_tree

DAG_FILE = """
import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator

START = pendulum.datetime(2024, 1, 1)
BOUNDS = '"lo": "{{ data_interval_start | ds }}", "hi": "{{ data_interval_end | ds }}"'


def one(name, command, **more):
    with DAG(name, schedule="@daily", start_date=START, catchup=True) as dag:
        BashOperator(task_id="t", bash_command=command, **more)
    globals()[name] = dag


one("typed", f"dbt run -s flags --vars '{{{BOUNDS}, \\"with_tips\\": false, \\"cap\\": null}}'")
one("typed_int", f"dbt run -s topped --vars '{{{BOUNDS}, \\"top\\": 5}}'")
one("typed_list", f"dbt run -s regional --vars '{{{BOUNDS}, \\"regions\\": [\\"north\\", \\"south\\"]}}'")
VALUE = '"value": {"days": ["{{ ds }}", 7, null, true, 1.5], "zip": "01234"}'
one("nested", f"dbt run -s kinds --vars '{{{BOUNDS}, {VALUE}}}'")
one("unquoted", "dbt run -s kinds --vars '{lo: \\"{{ ds }}\\", value: {{ ds }}}'")
one("unquoted_number", "dbt run -s kinds --vars 'value: {{ data_interval_start.day }}'")
one("a_date", "dbt run -s kinds --vars '{value: 2024-02-03}'")
one("looks_like_a_number", "dbt run -s kinds --vars '{value: \\"1e3\\"}'")
one("usual", "dbt build")
one("usual_exclude", "dbt build --exclude heavy")
one("indirect", "dbt build -s nightly --indirect-selection cautious")
one("indirect_env", "dbt build -s nightly", env={"DBT_INDIRECT_SELECTION": "cautious"}, append_env=True)
one("indirect_engine_env", "DBT_ENGINE_INDIRECT_SELECTION=cautious dbt build -s nightly")
one("no_tests_env", "dbt build -s nightly", env={"DBT_EXCLUDE_RESOURCE_TYPES": "test unit_test"}, append_env=True)
one("region", "dbt build -s nightly", env={"REGION": "eu", "API_TOKEN": "hunter2-hunter2"}, append_env=True)
"""

TABLE = "{{ config(materialized='table') }} "
FILES = {
    "legacy_dags/shop.py": DAG_FILE,
    "pyproject.toml": "",
    "dbt/dbt_project.yml": "name: shop\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\n",
    "dbt/profiles.yml": """
shop:
  target: legacy
  outputs:
    legacy: {type: duckdb, path: ../data/legacy.duckdb}
    candidate: {type: duckdb, path: ../data/candidate.duckdb}
""",
    "dbt/selectors.yml": (
        "selectors: [{name: usual, default: true, definition: {method: tag, value: nightly}}]\n"
    ),
    "dbt/macros/where.sql": (
        "{% macro where() %}{{ env_var('REGION', 'none') }} {{ env_var('API_TOKEN', 'none') }}{% endmacro %}"
    ),
    "dbt/models/flags.sql": TABLE
    + """select date '{{ var("lo", "1900-01-01") }}' as day,
{% if var('with_tips', true) %} 1 {% else %} 0 {% endif %} as tips,
{% if var('cap', none) is none %} 'no cap' {% else %} 'cap {{ var("cap") }}' {% endif %} as cap""",
    "dbt/models/topped.sql": TABLE + "select {{ var('top', 1) + 1 }} as top",
    "dbt/models/regional.sql": TABLE
    + """{% for r in var('regions', ['x']) %} select '{{ r }}' as region
{% if not loop.last %} union all {% endif %} {% endfor %}""",
    # A date has a method that its text does not have.
    "dbt/models/kinds.sql": TABLE
    + """{% set v = var('value', none) %}
select '{{ v if v.isoformat is defined else tojson(v, "not json") }}' as value,
'{{ "date" if v.isoformat is defined else "text" if v is string else "boolean" if v is boolean
    else "integer" if v is integer else "mapping" if v is mapping else "other" }}' as kind""",
    "dbt/models/heavy.sql": TABLE + "select 1 as id",
    "dbt/models/joined.sql": f"{TABLE} select id from {{{{ ref('nightly') }}}} join {{{{ ref('heavy') }}}} using (id)",  # noqa: S608
    "dbt/models/nightly.sql": "{{ config(materialized='table', tags=['nightly']) }} select 1 as id",
    "dbt/models/schema.yml": """
models:
  - name: nightly
    columns:
      - {name: id, data_tests: [not_null, {relationships: {arguments: {to: ref('heavy'), field: id}}}]}
""",
}


@dataclass(frozen=True)
class TypedEstate:
    root: Path

    @classmethod
    def make(cls, root: Path, files: Mapping[str, str] = FILES) -> TypedEstate:
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (root / "data").mkdir()
        python = AIRFLOW_PYTHON
        command = [str(python), str(ROOT / "legacy_dags" / "handover" / "inventory.py")]
        command += ["--dags-folder", str(root / "legacy_dags"), "--from", "2024-01-01", "--to", "2024-01-04"]
        command += ["--out", str(root / "inventory.json")]
        home = {"AIRFLOW_HOME": str(root / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **home}, timeout=1200)
        return cls(root)

    @property
    def inventory(self) -> Inventory:
        return read_inventory(self.root / "inventory.json", self.root / "parity.yaml")

    @property
    def defs(self) -> Path:
        return self.root / "dagster_defs" / "defs"

    def scaffold(self) -> list[str]:
        """Write the mirrors; returns the gaps."""
        written = scaffold(
            Settings.from_process(self.root), self.root / "inventory.json", [self.root / "dbt"], self.defs
        )
        return [gap for file in written for gap in file.gaps]

    def attributes(self, dag_id: str) -> dict[str, Any]:
        [mirror] = yaml.safe_load_all((self.defs / dag_id / "defs.yaml").read_text())
        found: dict[str, Any] = mirror["attributes"]
        return found

    def write(self, dag_id: str, **attributes: Any) -> None:
        """A mirror written by hand."""
        folder = self.defs / dag_id
        folder.mkdir(parents=True, exist_ok=True)
        schedule = {"cron": "@daily", "start": "2024-01-01"}
        document = {
            "type": "dagster_defs.components.DbtUnit",
            "attributes": {"unit": f"{dag_id}.t", "schedule": schedule, **attributes},
        }
        (folder / "defs.yaml").write_text(yaml.safe_dump(document))

    def tree(self, monkeypatch: pytest.MonkeyPatch) -> dg.ComponentTree:
        from dagster_defs.adapters.dbt import workspaces

        monkeypatch.setattr(workspaces, "_WORKSPACES", {})
        return component_tree(self.defs, self.root)

    def facets(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Facet]]:
        """The facets, by DAG and by name."""
        units = {u.unit: u for u in self.tree(monkeypatch).get_all_components(of_type=DbtUnit)}
        verified = verify_mirrors(Settings.from_process(), list(units.values()), self.inventory)
        return {unit.unit.dag_id: {facet.name: facet for facet in unit.facets} for unit in verified}
