"""What a task sets in dbt's environment: from a real Airflow's inventory through the mirror to a real dbt."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_defs.components import DbtUnit
from dagster_defs.lifecycle.agreement import Agreement
from dagster_defs.parity import Side
from dagster_defs.settings import process_environment
from dagster_defs.windows import Bound
from tests.support.typed_estate import FILES, TypedEstate

pytestmark = pytest.mark.airflow

DAG_FILE = """
import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator

START = pendulum.datetime(2024, 1, 1)


def one(name, command, **env):
    with DAG(name, schedule="@daily", start_date=START, catchup=True) as dag:
        BashOperator(task_id="t", bash_command=command, env={"REGION": "eu", **env}, append_env=True)
    globals()[name] = dag


one("model_time", "dbt run -s daily", DAY="{{ ds }}", NOBODY="reads it")
one("exported", "export DAY={{ macros.ds_add(ds, -1) }} && REGION='o''s' dbt run -s daily")
one("parse_time", "dbt run -s suffixed", SUFFIX="north")
one("other_parse_time", "dbt run -s suffixed", SUFFIX="south")
one("packaged", "dbt run -s packaged", WHO="{{ dag.dag_id }}")
one("moving", "dbt run -s moving", PART="{{ ds_nodash }}")
one("window", "dbt run -s windowed", DAY_FROM="{{ data_interval_start | ds }}", DAY_TO="{{ data_interval_end | ds }}")
one("secret", "dbt run -s packaged", WHO="{{ var.value.who }}", DBT_ENV_SECRET_PW="hunter2-hunter2")
one("labelled", "dbt run -s packaged", WHO="{{ run_id }}, try {{ ti.try_number }}")
"""
TABLE = "{{ config(materialized='table') }} "
PROJECT = {
    name: FILES[name] for name in ("pyproject.toml", "dbt/profiles.yml")
} | {
    "dbt/profiles.yml": FILES["dbt/profiles.yml"]
    + "    other: {type: duckdb, path: \"{{ env_var('IN_PROFILE', 'x') }}\"}\n",
    "legacy_dags/shop.py": DAG_FILE,
    "dbt/dbt_project.yml": "name: shop\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\n",
    # No default: without it, dbt cannot even parse the project.
    "dbt/models/daily.sql": TABLE
    + "select '{{ env_var(\"DAY\", \"never\") }}' as day, '{{ env_var(\"REGION\") }}' as region",
    "dbt/models/suffixed.sql": (
        "{{ config(materialized='table', alias='by_' ~ env_var('SUFFIX', 'none')) }} select 1 as id"
    ),
    "dbt/models/moving.sql": (
        "{{ config(materialized='table', alias='part_' ~ env_var('PART', 'none')) }} select 1 as id"
    ),
    "dbt/models/packaged.sql": TABLE + "select '{{ helpers.who() }}' as who",
    "dbt/models/windowed.sql": TABLE
    + "select '{{ env_var(\"DAY_FROM\", \"\") }}' as first, '{{ env_var(\"DAY_TO\", \"\") }}' as last",
    "dbt/dbt_packages/helpers/dbt_project.yml": "name: helpers\n",
    "dbt/dbt_packages/helpers/macros/who.sql": (
        "{% macro who() %}{{ env_var('WHO', 'nobody') }}{% endmacro %}"
        "{% macro pw() %}{{ env_var('DBT_ENV_SECRET_PW', 'none') }}{% endmacro %}"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> TypedEstate:
    return TypedEstate.make(tmp_path_factory.mktemp("environment"), PROJECT)


@pytest.fixture(scope="module")
def gaps(estate: TypedEstate) -> list[str]:
    return estate.scaffold()


def unit_of(estate: TypedEstate, monkeypatch: pytest.MonkeyPatch, dag_id: str) -> DbtUnit:
    units = estate.tree(monkeypatch).get_all_components(of_type=DbtUnit)
    return next(each for each in units if each.unit == f"{dag_id}.t")


def run(estate: TypedEstate, unit: DbtUnit, *days: str, side: Side = Side.CANDIDATE) -> None:
    windows = [unit.partitions.window_of(day) for day in days]
    dbt = unit.workspace(side).run(
        ["run", *unit.dbt_arguments()],
        variables={},
        environment=unit.environment.for_range(windows[0], windows[-1]),
        run_dir=estate.root / "run",
        parse_again=bool(unit._shaped_by_window),
    )
    assert [event["data"]["status"] for event in dbt.events()] == ["OK"]


def rows(estate: TypedEstate, table: str, side: Side = Side.CANDIDATE) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(estate.root / "data" / f"{side.value}.duckdb"), read_only=True) as connection:
        return connection.execute(f"from {table}").fetchall()


@pytest.mark.parametrize(
    ("dag_id", "env"),
    [
        ("model_time", {"DAY": "{{ ds }}", "REGION": "eu"}),
        ("exported", {"DAY": "{{ macros.ds_add(ds, -1) }}", "REGION": "os"}),
        ("parse_time", {"REGION": "eu", "SUFFIX": "north"}),
        ("packaged", {"REGION": "eu", "WHO": "{{ dag.dag_id }}"}),
        ("window", {"DAY_FROM": {"template": "{{ data_interval_start | ds }}", "bound": "lower"},
                    "DAY_TO": {"template": "{{ data_interval_end | ds }}", "bound": "upper"}, "REGION": "eu"}),
    ],
)  # fmt: skip
def test_what_the_project_reads_is_carried(
    estate: TypedEstate, gaps: list[str], dag_id: str, env: dict[str, Any]
) -> None:
    """As templates, with the bounds of a window, and without a gap; what nothing reads is left out."""
    assert [gap for gap in gaps if gap.startswith(f"{dag_id}.")] == []
    assert estate.attributes(dag_id)["env"] == env


def test_secrets_are_named_and_never_written(estate: TypedEstate, gaps: list[str]) -> None:
    """A secret of dbt's and what Airflow keeps must be the deployment's."""
    text = (estate.defs / "secret" / "defs.yaml").read_text()
    assert estate.attributes("secret")["required_env"] == ["DBT_ENV_SECRET_PW", "WHO"]
    assert "# required_env: WHO comes from what Airflow keeps ({{ var.value.who }})" in text
    assert "hunter2" not in text


def test_everything_scaffolded_verifies(
    estate: TypedEstate, gaps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each variable has the value that a real Airflow rendered, in each window."""
    facets = estate.facets(monkeypatch)

    assert {dag: found["variables"].agrees for dag, found in facets.items()} == dict.fromkeys(
        facets, Agreement.AGREES
    )
    environment = {dag: found["environment"].agrees for dag, found in facets.items()}
    undetermined = {dag for dag, verdict in environment.items() if verdict is not Agreement.AGREES}
    assert undetermined == {"secret"}
    assert "WHO names the run" in facets["labelled"]["environment"].detail


@pytest.mark.parametrize("side", list(Side))
def test_dbt_reads_them_in_this_run_alone(
    estate: TypedEstate, gaps: list[str], monkeypatch: pytest.MonkeyPatch, side: Side
) -> None:
    """A window's value reaches the model, a literal one overrides the process's, and the process keeps its own."""
    unit = unit_of(estate, monkeypatch, "model_time")
    monkeypatch.setenv("REGION", "us")
    before = dict(os.environ)

    run(estate, unit, "2024-01-02", side=side)
    assert rows(estate, "daily", side) == [("2024-01-02", "eu")]
    run(estate, unit, "2024-01-03", side=side)
    assert rows(estate, "daily", side) == [("2024-01-03", "eu")]
    assert dict(os.environ) == before


def test_a_macro_of_a_package_reads_them(
    estate: TypedEstate, gaps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As everything that dbt renders."""
    run(estate, unit_of(estate, monkeypatch, "packaged"), "2024-01-02")

    assert rows(estate, "packaged") == [("packaged",)]


def test_what_a_project_is_parsed_with_shapes_it(
    estate: TypedEstate, gaps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two units with other values have other tables; units whose values change rows alone share one parse."""
    north, south = (unit_of(estate, monkeypatch, dag) for dag in ("parse_time", "other_parse_time"))

    for unit, table in ((north, "by_north"), (south, "by_south")):
        run(estate, unit, "2024-01-02")
        assert rows(estate, table) == [(1,)]
        [output] = unit.outputs_of(unit.partitions.window_of("2024-01-02"))
        assert table in output.candidate

    one, other = (unit_of(estate, monkeypatch, dag) for dag in ("model_time", "exported"))
    assert one.workspace(Side.LEGACY) is other.workspace(Side.LEGACY)


def test_a_value_that_moves_and_shapes_is_parsed_again(
    estate: TypedEstate, gaps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unit says that its nodes depend on the window, and a run writes the window's own table."""
    unit = unit_of(estate, monkeypatch, "moving")

    assert unit._shaped_by_window == ("model.shop.moving",)
    run(estate, unit, "2024-01-03")
    assert rows(estate, "part_20240103") == [(1,)]


def test_one_run_takes_several_windows_by_their_bounds(
    estate: TypedEstate, gaps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first window's lower end and the last one's upper end; a variable without a bound prevents it."""
    unit = unit_of(estate, monkeypatch, "window")

    assert unit.takes_ranges
    assert not unit_of(estate, monkeypatch, "model_time").takes_ranges
    run(estate, unit, "2024-01-01", "2024-01-02")
    assert rows(estate, "windowed") == [("2024-01-01", "2024-01-03")]
    values = unit.environment.for_window(unit.partitions.window_of("2024-01-02"))
    assert unit.environment.templates.bounds_in(values) == {
        Bound.LOWER: "2024-01-02",
        Bound.UPPER: "2024-01-03",
    }


def test_a_rehearsals_own_environment_counts(
    estate: TypedEstate, gaps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for Airflow's command: what the DAG file fixes yields to it, what a window renders does not."""
    rehearsal = {
        "PARITY_LEGACY_TARGET": "rehearsal",
        "PARITY_CANDIDATE_TARGET": "rehearsal_candidate",
        "REGION": "nowhere",
        "DAY": "1999-01-01",
    }
    unit = unit_of(estate, monkeypatch, "model_time")
    window = unit.partitions.window_of("2024-01-02")

    with process_environment(rehearsal):
        assert unit.environment.for_window(window) == {"DAY": "2024-01-02"}
    assert unit.environment.for_window(window) == {"DAY": "2024-01-02", "REGION": "eu"}


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"env": {"REGION": 5}}, "`env`: REGION is not text.*put it in quotes"),
        ({"env": {"REGION": {"template": "{{ ds }}", "yaml": True}}}, "`env`: REGION has `yaml`"),
        ({"env": {"REGION": "{{ dag_run.conf.x }}"}}, "dag_run.conf.*the variable REGION"),
        ({"env": {"DBT_ENV_SECRET_PW": "x"}}, "DBT_ENV_SECRET_PW is a secret.*required_env"),
        (
            {"env": {"IN_PROFILE": "{{ ds }}"}},
            "IN_PROFILE changes from run to run, and dbt's profile reads it",
        ),
        ({"env": {"DBT_FAIL_FAST": "1"}}, "DBT_FAIL_FAST sets an option of dbt"),
    ],
)
def test_what_env_var_cannot_read_breaks_its_unit(
    estate: TypedEstate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    attributes: dict[str, Any],
    message: str,
) -> None:
    """One sentence names the unit, the variable, and what to do."""
    (tmp_path / "dbt").symlink_to(estate.root / "dbt")
    by_hand = TypedEstate(tmp_path)
    by_hand.write("model_time", command="run", select="daily", **attributes)

    by_hand.tree(monkeypatch).build_defs()

    [reason] = [record.getMessage() for record in caplog.records if "model_time.t" in record.getMessage()]
    assert re.search(message, reason, re.DOTALL), reason


def test_the_name_of_a_run_is_dagsters_own(
    estate: TypedEstate, gaps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What distinguishes runs or tries, and says nothing of a window, needs no Airflow."""
    definitions = estate.tree(monkeypatch).build_defs()

    job = definitions.resolve_job_def("shadow__labelled__t")
    result = job.execute_in_process(
        partition_key="2024-01-02", raise_on_error=False, run_config={"loggers": {"console": {}}}
    )
    assert rows(estate, "packaged") == [(f"{result.run_id}, try 1",)]


def test_a_run_without_what_it_requires_fails_before_dbt(
    estate: TypedEstate, gaps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is said; no value of the legacy task's is anywhere."""
    definitions = estate.tree(monkeypatch).build_defs()

    job = definitions.resolve_job_def("shadow__secret__t")
    result = job.execute_in_process(
        partition_key="2024-01-02", raise_on_error=False, run_config={"loggers": {"console": {}}}
    )
    [failure] = [event for event in result.all_events if event.is_step_failure]
    message = str(failure.step_failure_data.error)
    assert "`required_env`: DBT_ENV_SECRET_PW, WHO not set in Dagster's environment" in message
