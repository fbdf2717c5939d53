"""Units of every kind below branches and short circuits: once their DAG is retired, Airflow's own rules are asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import yaml

from dagster_defs.lifecycle import Unit, tags
from tests.components.conftest import Project
from tests.components.units.test_legacy_task import DAY, DAYS, declared, proxied_run, why
from tests.support import strange_dag
from tests.support.estate import AIRFLOW3_PYTHON, AIRFLOW_PYTHON, Estate
from tests.support.instances import instance_for_test

pytestmark = pytest.mark.airflow

DAG_FILE = """
from datetime import datetime, timezone
from airflow import DAG
try:
    from airflow.operators.bash import BashOperator
    from airflow.operators.empty import EmptyOperator
    from airflow.operators.python import BranchPythonOperator, PythonOperator, ShortCircuitOperator
except ImportError:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.operators.python import BranchPythonOperator, PythonOperator, ShortCircuitOperator

with DAG("ruled", schedule="0 6 * * *", start_date=datetime(2024, 1, 1, tzinfo=timezone.utc), catchup=True) as dag:
    def bash(name, **more):
        return BashOperator(task_id=name, bash_command="true", **more)

    branch = BranchPythonOperator(task_id="branch", python_callable=lambda: ["left"])
    left, right, after_right = bash("left"), bash("right"), bash("after_right")
    join = EmptyOperator(task_id="join", trigger_rule="none_failed_min_one_success")
    last = PythonOperator(task_id="last", python_callable=print)
    branch >> [left, right] >> join >> last
    right >> after_right

    shut = ShortCircuitOperator(task_id="shut", python_callable=lambda: False)
    shut >> bash("cut") >> bash("cut_all_the_same", trigger_rule="all_done")

    ajar = ShortCircuitOperator(
        task_id="ajar", python_callable=lambda: False, ignore_downstream_trigger_rules=False
    )
    ajar >> bash("skipped") >> bash("despite_it", trigger_rule="all_done")

    opened = ShortCircuitOperator(task_id="opened", python_callable=lambda: True)
    opened >> bash("goes_on")
"""
RULES = {"trigger_rules": {"dags_folder": "dags", "dag_file": "ruled.py"}}
DBT, BASH, PYTHON = "DbtUnit", "CommandUnit", "PythonUnit"
BELOW = {
    "left": BASH, "right": DBT, "after_right": PYTHON, "last": PYTHON, "cut": DBT, "cut_all_the_same": BASH,
    "skipped": PYTHON, "despite_it": DBT, "goes_on": DBT,
}  # fmt: skip
DECIDING = ("branch", "shut", "ajar", "opened")
ORDER = ("branch", "left", "right", "after_right", "last", "shut", "cut", "cut_all_the_same",
         "ajar", "skipped", "despite_it", "opened", "goes_on")  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(AIRFLOW_PYTHON, id="2.11"),
        pytest.param(AIRFLOW3_PYTHON, id="3.3", marks=pytest.mark.thorough),
    ],
)
def python(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, python: Path) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("ruled")
    (strange_dag.dags_folder(root) / "ruled.py").write_text(DAG_FILE)
    (root / "legacy_dags").mkdir()
    (root / "legacy_dags" / "ruled_work.py").write_text(
        "def work(side):\n    open(f'{side}.txt', 'a').write('done\\n')\n\n\n"
        "def tell(context):\n    open('told.txt', 'a').write(context['ti'].task_id + '\\n')\n"
    )
    (root / "dbt" / "models").mkdir(parents=True)
    for name, kind in BELOW.items():
        if kind == DBT:
            (root / "dbt" / "models" / f"{name}_rows.sql").write_text("select 1 as id")
    (root / "dbt" / "dbt_project.yml").write_text("{name: own, version: '1.0', profile: own}\n")
    targets = {
        side: {"type": "duckdb", "path": str(root / f"{side}.duckdb")} for side in ("legacy", "candidate")
    }
    (root / "dbt" / "profiles.yml").write_text(
        yaml.safe_dump({"own": {"target": "legacy", "outputs": targets}})
    )
    settings = {
        "PARITY_TASK_STORE": str(root / "store"),
        "PARITY_PROXIED_STATE": str(root / "cut"),
        "PARITY_AIRFLOW_PYTHON": str(python),
        "AIRFLOW_HOME": strange_dag.environment(root)["AIRFLOW_HOME"],
    }
    with instance_for_test() as instance, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(root)
        place = Project(Estate(root, instance, more_settings=settings))
        place.declare("own", *(unit(root, name) for name in ORDER))
        place.load()
        yield place


def unit(root: Path, name: str) -> tuple[str, dict[str, Any]]:
    if name in DECIDING:
        kind, attributes = declared(root, name, dag_id="ruled")
        return kind, {**attributes, "airflow": RULES["trigger_rules"]}
    common: dict[str, Any] = {"unit": f"ruled.{name}", "schedule": DAYS, **RULES}
    never = {"shadow": "never", "because": "there is nothing to compare"}
    match BELOW[name]:
        case "DbtUnit":
            return DBT, {**common, "select": f"{name}_rows"}
        case "CommandUnit":
            return BASH, {**common, "command": f"echo {name} >> {root}/commands.txt", **never}
        case kind:
            outputs = [{"key": f"{name}_asset"}]
            told = {f"on_{end}": "ruled_work.tell" for end in ("success", "skipped", "execute")}
            return kind, {**common, "function": "ruled_work.work", "outputs": outputs, **told}


def run(place: Project, name: str, **more: Any) -> dg.ExecuteInProcessResult:
    return place.estate.run(f"ruled__{name}", DAY, **more)


def state(result: dg.ExecuteInProcessResult) -> object:
    """A run that did the unit's work does not always say so in Airflow's words."""
    [event] = result.get_asset_materialization_events()
    told = event.materialization.metadata.get(tags.AIRFLOW_STATE)
    return told.value if told else "success"


def test_every_unit_runs_or_is_skipped_as_in_airflow(place: Project, python: Path) -> None:
    """Below a branch, in its join, below short circuits that heed trigger rules or do not; in each kind of unit.
    Whom it tells of a beginning and of an end hears nothing of what rules have skipped."""
    airflow = strange_dag.airflows_own(place.estate.root, python, "ruled")["states"]

    found = {name: state(run(place, name)) for name in ORDER}

    assert found == {name: airflow[name]["-1"] for name in ORDER}
    assert {"success", "skipped"} == set(found.values())
    with duckdb.connect(str(place.estate.root / "legacy.duckdb"), read_only=True) as connection:
        built = {name for (name,) in connection.execute("select view_name from duckdb_views()").fetchall()}
    of_dbt = {name for name, kind in BELOW.items() if kind == DBT}
    assert {name for name in of_dbt if f"{name}_rows" in built} == {
        name for name in of_dbt if found[name] == "success"
    }
    commands = (place.estate.root / "commands.txt").read_text().split()
    assert commands == [name for name, kind in BELOW.items() if kind == BASH and found[name] == "success"]
    told = (place.estate.root / "told.txt").read_text().split()
    assert told == [name for name, kind in BELOW.items() if kind == PYTHON and found[name] == "success"] * 2


def test_a_task_above_that_dagster_has_not_run_decides_nothing(place: Project) -> None:
    """Airflow's rules would take what is not there for a branch that follows all ways."""
    day = ("2024-02-20", "2024-02-20")

    result = place.estate.run("ruled__right", day, must_succeed=False)

    assert not result.success
    assert "branch" in why(result)
    assert "Nothing was run" in why(result)


def test_before_the_dag_is_retired_airflow_decides(place: Project) -> None:
    """A run that Airflow's proxy launches does its work: Airflow has started the task."""
    result = proxied_run(place, Unit("ruled", "cut_all_the_same"))

    assert result.success
    assert state(result) == "success"


def test_a_skip_is_forgotten_with_the_decision_behind_it(place: Project) -> None:
    """A branch that is run again may decide otherwise; then what it let run no longer counts as skipped below."""
    day = ("2024-02-11", "2024-02-11")
    assert place.estate.run("ruled__shut", day).success
    assert state(place.estate.run("ruled__cut", day)) == "skipped"
    file = place.estate.root / "dags" / "ruled.py"
    text = file.read_text()
    try:
        file.write_text(
            text.replace('"shut", python_callable=lambda: False', '"shut", python_callable=lambda: True')
        )
        assert place.estate.run("ruled__shut", day).success
        assert state(place.estate.run("ruled__cut", day)) == "success"
        assert state(place.estate.run("ruled__cut_all_the_same", day)) == "success"
    finally:
        file.write_text(text)


def test_one_run_has_one_window(place: Project) -> None:
    """Airflow decides window by window, so no run covers several."""
    result = place.estate.run("ruled__goes_on", ("2024-02-01", "2024-02-03"), must_succeed=False)

    assert not result.success
    assert "Run one partition at a time" in why(result)


def test_the_operator_itself_asks_anyway(place: Project) -> None:
    """`trigger_rules` of a LegacyTask would be a second place for the same thing."""
    kind, attributes = unit(place.estate.root, "branch")
    other = Project(place.estate)
    other.declare("twice", (kind, {**attributes, "unit": "ruled.twice", **RULES}))
    try:
        definitions = other.load()
        result = other.estate.run("ruled__twice", DAY, must_succeed=False)
    finally:
        (other.defs_folder / "twice" / "defs.yaml").unlink()
        place.load()

    assert definitions
    assert "`trigger_rules` says nothing here" in why(result)
