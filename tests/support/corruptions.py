"""The taxi estate, with faults planted in the candidate, while legacy is built by Airflow's own commands."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pendulum
import pytest
from typer.testing import CliRunner

from dagster_defs import cli
from dagster_defs.adapters.dagster.mirrors import Mirrors, mirrors_among
from dagster_defs.parity import Side
from dagster_defs.usecases import check as comparison
from dagster_defs.usecases import verify
from tests.support.estate import ONE_TRY, ROOT, Estate, copy_project, put_legacy_code_on_path
from tests.support.trees import component_tree

DAILY, HOURLY = "taxi_daily.dbt_daily", "taxi_hourly.dbt_hourly"
WEEKLY, EXPORT = "taxi_weekly.dbt_weekly", "taxi_daily.export_daily"
UNITS = (DAILY, EXPORT, HOURLY, WEEKLY)  # the others would only take time
MONTH = "2024-03"
TRIPS = 20_000
MIDNIGHT = "2024-03-10 00:00:00"  # one trip began then, and no other at any midnight in the tests

PLACES = (
    (
        "models/marts/daily_metrics.sql",
        "pickup_at >= {{ wall_clock(\"'\" ~ var('min_date') ~ \"'\") }}",
        "pickup_at {{ '>' if planted('exclusive_start') else '>=' }} {{ wall_clock(\"'\" ~ var('min_date') ~ \"'\") }}"
        "{{ earlier('a_day_early') }}",
    ),
    (
        "models/marts/daily_metrics.sql",
        "pickup_at < {{ wall_clock(\"'\" ~ var('max_date') ~ \"'\") }}",
        "pickup_at {{ '<=' if planted('inclusive_end') else '<' }} {{ wall_clock(\"'\" ~ var('max_date') ~ \"'\") }}"
        "{{ earlier('a_day_early') }}",
    ),
    (
        "models/marts/daily_metrics.sql",
        "        tags=['daily']",
        "        post_hook={'sql': \"{{ down_afterwards('dies_after_writing') }}\", 'transaction': false},\n"
        "        tags=['daily']",
    ),
    (
        "models/marts/location_metrics.sql",
        "where is_valid\n",
        "where is_valid {{ down('dies_between_models') }}\n",
    ),
    (
        "models/marts/weekly_metrics.sql",
        "as date) + 6",
        "as date) + {{ 7 if planted('monday_names_the_week') else 6 }}",
    ),
    (
        "models/staging/stg_trips.sql",
        "{{ wall_clock('tpep_pickup_datetime') }}",
        "{{ winter_time_all_year(wall_clock('tpep_pickup_datetime')) }}",
    ),
    (
        "models/marts/hourly_metrics.sql",
        "from {{ ref('stg_trips_utc') }}",
        "from {{ ref('stg_trips_utc') }} {{ down_at_noon('dies_between_batches') }}",
    ),
    (
        "macros/new_york_time.sql",
        "timezone('UTC', timezone('America/New_York', {{ expression }}))",
        "timezone('UTC', timezone('{{ 'EST' if planted('fixed_offset') else 'America/New_York' }}', {{ expression }}))",
    ),
)
"""Where a fault can be planted in the dbt project: the file, its text, and the replacement."""

MACROS = """
{# A fault comes and goes with a file, so that the project need not be parsed again. #}
{% macro planted(name) %}
  {% if not execute %}{{ return(false) }}{% endif %}
  {% set planted = "public.faults where name = '" ~ name ~ "'" if target.type == "postgres"
     else "glob('FAULTS/" ~ name ~ "')" %}
  {{ return(run_query("select count(*) from " ~ planted).columns[0][0] > 0) }}
{% endmacro %}

{% macro earlier(name) %}{{ return(" - interval '1 day'" if planted(name) else "") }}{% endmacro %}

{% macro down(name) %}{{ return("and error('the machine went down')" if planted(name) else "") }}{% endmacro %}

{% macro down_afterwards(name) %}
  {{ return("select " ~ ("error('the machine went down')" if planted(name) else "1")) }}
{% endmacro %}

{% macro down_at_noon(name) %}
  {% set noon = model.batch and model.batch.event_time_start.hour == 16 %}
  {{ return("where error('the machine went down')" if noon and planted(name) else "") }}
{% endmacro %}

{% macro winter_time_all_year(expression) %}
  {% if not planted('winter_time') %}{{ return(expression) }}{% endif %}
  {{ return("timezone('America/New_York', timezone('EST', " ~ expression ~ "))") }}
{% endmacro %}

{# dbt looks for the SQL of the strategy delete+insert under this name, in the project first. #}
{% macro get_incremental_delete_insert_sql(arg_dict) %}
  {% if planted('appends') %}{{ return(get_incremental_append_sql(arg_dict)) }}{% endif %}
  {{ return(adapter.dispatch('get_incremental_delete_insert_sql', 'dbt')(arg_dict)) }}
{% endmacro %}
"""


# The first valid trip of the day begins a little earlier.
_ONE_AT_MIDNIGHT = """
select * exclude (first_one) replace (
    case when tpep_pickup_datetime = first_one then $midnight::timestamp else tpep_pickup_datetime end
        as tpep_pickup_datetime
)
from trips, (
    select min(tpep_pickup_datetime) as first_one
    from trips
    where tpep_pickup_datetime >= $midnight::timestamp and total_amount > 0 and trip_distance >= 0
)
"""


def corruptible_project(root: Path) -> Path:
    """A copy of the project in which PLACES can go wrong; until a fault is planted it behaves as before.

    Without dbt's unit tests: they would find some of the faults before anything is built.
    """
    copy_project(root)
    for file in [*(root / "dagster_defs" / "defs").rglob("defs.yaml")]:
        documents = file.read_text().split("\n---\n")
        kept = [text for text in documents if any(f"  unit: {unit}\n" in text for unit in UNITS)]
        if kept:
            file.write_text("\n---\n".join(kept))
        else:
            shutil.rmtree(file.parent)
    for name, right, corruptible in PLACES:
        replace_once(root / "dbt" / name, right, corruptible)
    for file in (root / "dbt" / "models").rglob("*.yml"):
        file.write_text(file.read_text().partition("\nunit_tests:")[0] + "\n")
    (root / "faults").mkdir()
    (root / "dbt" / "macros" / "faults.sql").write_text(MACROS.replace("FAULTS", str(root / "faults")))
    return root


def replace_once(file: Path, right: str, wrong: str) -> None:
    before = file.read_text()
    assert before.count(right) == 1, (file, right)
    file.write_text(before.replace(right, wrong))


@dataclass
class CorruptibleEstate:
    """`keep` saves the data of both sides and Dagster's event log under a name, `restore` goes back to it."""

    root: Path
    airflow_url: str
    inventory: Path
    definitions: dg.Definitions | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def declarations(self) -> Path:
        return self.root / "dagster_defs" / "defs"

    @property
    def home(self) -> Path:
        return self.root / "dagster_home"

    @contextlib.contextmanager
    def estate(self) -> Iterator[Estate]:
        """The estate with the Dagster instance in `home`."""
        self.home.mkdir(exist_ok=True)
        (self.home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            own = Estate(self.root, instance, airflow_url=self.airflow_url, more_settings=self.settings)
            if self.definitions is None:
                with own.entered():
                    self.definitions = self._tree().build_defs()
            vars(own)["definitions"] = self.definitions
            yield own

    def _tree(self) -> dg.ComponentTree:
        """The mirrors that the copy's own YAML declares: in this process the package is the original's."""
        return component_tree(self.declarations, self.root)

    def mirrors(self) -> Mirrors:
        components = self._tree().get_all_components(of_type=dg.Component)  # type: ignore[type-abstract]  # a base will do
        return mirrors_among(components)

    def ingest(self) -> None:
        """Raw files of one month on both sides, with one trip that began at MIDNIGHT."""
        with self.estate() as own, own.entered():
            put_legacy_code_on_path()
            from include import ingest, landing, settings
            from include.files import write_parquet

            folder = settings.landing_dir()
            landing.generate(folder, [])
            trips = landing.trips(MONTH, count=TRIPS)
            with duckdb.connect() as connection:
                moved = connection.sql(_ONE_AT_MIDNIGHT, params={"midnight": MIDNIGHT}).to_arrow_table()
            trips = moved.cast(trips.schema)
            write_parquet(trips, folder / landing.trips_file(MONTH))
            for side in Side:
                ingest.load_zones(side=side.value)
                ingest.load_trips(MONTH, side=side.value)

    def rendered(self, unit: str) -> dict[str, Mapping[str, Any]]:
        """A task's fields as Airflow rendered them, by the start of the data interval."""
        dag_id, task_id = unit.split(".")
        [task] = [
            task
            for dag in json.loads(self.inventory.read_text())["dags"]
            if dag["dag_id"] == dag_id
            for task in dag["tasks"]
            if task["task_id"] == task_id
        ]
        return {sample["start"]: sample["fields"] for sample in task["rendered"]}

    def run_legacy(self, commands: Sequence[str]) -> None:
        """dbt commands as Airflow's tasks run them: in the project's folder, on the default target."""
        with self.estate() as own:
            done = subprocess.run(
                [sys.executable, str(ROOT / "tests" / "support" / "legacy_commands.py")],
                input=json.dumps(commands),
                cwd=self.root / "dbt",
                env=own.environment,
                capture_output=True,
                text=True,
                timeout=1200,
                check=False,
            )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr

    def export_legacy(self, arguments: Mapping[str, Any]) -> None:
        """The call of Airflow's PythonOperator."""
        with self.estate() as own, own.entered():
            from include.export import export_daily

            export_daily(**arguments)

    def observe(self, keys: Sequence[str], partitions: Mapping[str, str]) -> None:
        """Store the observer's events for tasks that Airflow has just finished, after those reported before.

        `partitions`: the start of the data interval, by key.
        """
        now = dg.MetadataValue.timestamp(pendulum.now("UTC").timestamp())
        with self.estate() as own:
            for partition, start in partitions.items():
                noted: dict[str, Any] = {
                    "parity/legacy_began": now,
                    "parity/legacy_ended": now,
                    "Airflow run id": f"scheduled__{start}",
                }
                for key in keys:
                    event = dg.AssetMaterialization([key], partition=partition, metadata=noted)
                    own.instance.report_runless_asset_event(event)

    def keep(self, name: str) -> None:
        for folder in ("data", "dagster_home"):
            shutil.copytree(self.root / folder, self.root / name / folder)

    def restore(self, name: str) -> None:
        for folder in ("data", "dagster_home"):
            shutil.rmtree(self.root / folder)
            shutil.copytree(self.root / name / folder, self.root / folder)

    def run(self, unit: str, first: str, last: str = "", **tags: str) -> dg.ExecuteInProcessResult:
        """A candidate run with one try, as Airflow's proxy requests it: further tries would be Airflow's."""
        with self.estate() as own:
            job = f"shadow__{unit.replace('.', '__')}"
            tags = {**ONE_TRY, **tags}
            return own.run(job, (first, last or first), tags=tags, must_succeed=False)

    @contextlib.contextmanager
    def planted(self, fault: str) -> Iterator[None]:
        """Plant a fault in the dbt project; a fault without a place would prove nothing."""
        assert f"'{fault}'" in MACROS + "".join(corruptible for *_, corruptible in PLACES)
        file = self.root / "faults" / fault
        file.touch()
        try:
            yield
        finally:
            file.unlink()

    @contextlib.contextmanager
    def declared(self, folder: str, *wrong: tuple[str, str]) -> Iterator[None]:
        """Plant a fault in a mirror: change its YAML, and load definitions from that."""
        file = self.declarations / folder / "defs.yaml"
        before, definitions = file.read_text(), self.definitions
        for right, instead in wrong:
            replace_once(file, right, instead)
        self.definitions = None
        try:
            yield
        finally:
            file.write_text(before)
            self.definitions = definitions

    def parity(self, *arguments: str) -> tuple[int, Any]:
        """`parity … --json` in this process: the exit code and the document."""
        with self.estate() as own, own.entered(), pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setenv("DAGSTER_HOME", str(self.home))
            for module in (comparison, verify):
                monkeypatch.setattr(module, "load_mirrors", lambda _root: self.mirrors())
            outcome = CliRunner().invoke(cli.app, [*arguments, "--json"])
            assert outcome.stdout, outcome.exception
            return outcome.exit_code, json.loads(outcome.stdout)
