"""Functions of a DAG file that nobody has rewritten, called by Dagster: beside Airflow's own run of the same window."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from typer.testing import CliRunner

from dagster_defs import cli
from dagster_defs.adapters.airflow.task_store import WindowStore
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory
from dagster_defs.usecases.verify import verify_mirrors
from dagster_defs.windows import scheduled_between
from tests.components.conftest import Project
from tests.support import strange_dag
from tests.support.estate import Estate, mirrors_of
from tests.support.exporting import export
from tests.support.instances import instance_for_test
from tests.support.scaffolded import PROJECT
from tests.support.task_runner import PYTHONS

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

DAY = "2024-02-01"
DAG_FILE = """
import json
import os
from datetime import datetime, timezone

from airflow import DAG
from airflow.decorators import dag, task
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator

RATES = {"tea": 3}
RATES["jam"] = 2


def say(text):
    with open(os.path.join(os.environ["STRANGE_OUT"], "effects"), "a") as file:
        file.write(text + "\\n")


def keep(day, count, *, label, ds=None):
    say(f"keep {day} {count} {label} {ds}")
    return {"day": day, "rows": count}


def use(n, kept):
    say(f"use {n!r} {json.dumps(kept, sort_keys=True)}")


def of_context(**context):
    say(f"of_context {context['ds_nodash']}")


def pulls(ti):
    say(f"pulls {ti.xcom_pull(task_ids='keep')['rows']}")


with DAG("plain", schedule="0 6 * * *", start_date=datetime(2024, 1, 1, tzinfo=timezone.utc), catchup=False) as plain:
    first = PythonOperator(
        task_id="keep", python_callable=keep, op_args=["{{ ds }}", 3], op_kwargs={"label": "{{ ts }}"},
    )
    sized = BashOperator(task_id="sized", bash_command="echo {{ ti.xcom_pull(task_ids='keep')['rows'] }}2")
    given = {"n": "{{ ti.xcom_pull(task_ids='sized') }}", "kept": first.output}
    first >> sized >> PythonOperator(task_id="use", python_callable=use, op_kwargs=given)
    first >> PythonOperator(task_id="pulls", python_callable=pulls)
    PythonOperator(task_id="of_context", python_callable=of_context)


@dag(schedule="0 6 * * *", start_date=datetime(2024, 1, 1, tzinfo=timezone.utc), catchup=False)
def flow():
    @task
    def extract(day, ds=None) -> list:
        return [{"what": "tea", "count": 2, "day": day}, {"what": "jam", "count": 5, "day": ds}]

    @task(multiple_outputs=True)
    def worth(rows, besides="none"):
        each = {row["what"]: row["count"] * RATES[row["what"]] for row in rows}
        return {"total": sum(each.values()), "each": each, "besides": besides}

    @task
    def nothing():
        say("nothing")

    @task
    def load(total, each, gone, day):
        say(f"load {total} {json.dumps(each, sort_keys=True)} {gone} {day}")
        return None

    @task
    def doubled(row):
        return row["count"] * 2

    @task
    def moment(logical_date=None):
        return logical_date.isoformat()

    rows = extract("{{ ds }}")
    found = worth(rows, besides="{{ ds_nodash }}")
    load(found["total"], found["each"], nothing(), day="{{ ds }}")
    doubled.expand(row=extract.override(task_id="more")("{{ ds }}"))
    moment()


flow()
"""
READ_BY_NOBODY = {"of_context", "use", "load"}  # of these the store holds nothing
LEGACY = {"plain.sized", "plain.pulls", "flow.more", "flow.doubled", "flow.moment"}


@dataclass
class Trade:
    version: str
    project: Project
    oracle: Mapping[str, Mapping[str, Any]]
    kinds: Mapping[str, str]
    inventory: Path
    effects: Sequence[str]

    @property
    def root(self) -> Path:
        return self.project.estate.root

    def run(self, unit: str) -> dg.ExecuteInProcessResult:
        return self.project.estate.run(unit.replace(".", "__"), (DAY, DAY), must_succeed=False)

    def records(self, dag_id: str) -> Mapping[str, Mapping[str, Any]]:
        start = scheduled_between(strange_dag.START, strange_dag.END)
        return WindowStore.of(self.root / "store", Side.LEGACY, dag_id, start).records()


@pytest.fixture(scope="module", params=PYTHONS)
def trade(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trade]:
    """Both DAGs run by Airflow itself, and scaffolded for Dagster."""
    python = PYTHONS[request.param]
    root, airflows = tmp_path_factory.mktemp("trade"), tmp_path_factory.mktemp("airflows")
    (root / "pyproject.toml").write_text('[tool.dg]\ndirectory_type = "project"\n')
    shutil.copytree(PROJECT, root / "dbt", ignore=shutil.ignore_patterns("target"))
    (root / "legacy_dags").mkdir()
    (root / "legacy_dags" / "trade.py").write_text(DAG_FILE)
    inventory = root / "inventory.json"
    own = strange_dag.environment(airflows)
    done = export(
        python, root / "legacy_dags", inventory, (DAY, DAY), **{"STRANGE_OUT": str(airflows), **airflow(own)}
    )
    assert done.returncode == 0, done.stderr
    oracle = {
        dag_id: run_by_airflow(python, root / "legacy_dags", airflows, dag_id) for dag_id in ("plain", "flow")
    }
    effects = (airflows / "effects").read_text().splitlines()
    out = root / "own_defs"
    arguments = [str(inventory), "--dbt-project", str(root / "dbt"), "--out", str(out), "--prefer", "python"]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(root)
        outcome = CliRunner().invoke(cli.app, ["scaffold", *arguments])
        assert outcome.exit_code == 0, outcome.output
    kinds = {
        each["attributes"]["unit"]: each["type"].rpartition(".")[2]
        for file in out.rglob("defs.yaml")
        for each in yaml.safe_load_all(file.read_text())
    }
    settings = {
        **airflow(strange_dag.environment(root)),
        "STRANGE_OUT": str(root),
        "PARITY_TASK_STORE": str(root / "store"),
        "PARITY_PROXIED_STATE": str(root / "cut"),
        "PARITY_AIRFLOW_PYTHON": str(python),
    }
    with instance_for_test() as instance:
        project = Project(Estate(root, instance, more_settings=settings))
        project.load()
        yield Trade(request.param, project, oracle, kinds, inventory, effects)


def airflow(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if name.startswith("AIRFLOW")}


def run_by_airflow(python: Path, dags: Path, folder: Path, dag_id: str) -> Mapping[str, Any]:
    """By `DAG.test`, in an Airflow of its own."""
    variables = strange_dag.environment(folder) | {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'oracle.db'}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    make = [str(python), str(strange_dag.PROGRAM), "--make-database"]
    subprocess.run(make, env=variables, check=True, capture_output=True)
    command = [str(python), "-c", strange_dag.ORACLE, str(dags), strange_dag.START, dag_id]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)
    [line] = [line for line in done.stdout.splitlines() if line.startswith("RESULT")] or pytest.fail(
        done.stderr
    )
    found: Mapping[str, Any] = json.loads(line.removeprefix("RESULT"))
    return found


def test_each_task_has_the_mirror_that_it_can_have(trade: Trade) -> None:
    """A function that needs Airflow's objects, or whose value makes instances of a mapped task, stays a LegacyTask."""
    assert {unit for unit, kind in trade.kinds.items() if kind == "LegacyTask"} == LEGACY
    assert {unit for unit, kind in trade.kinds.items() if kind == "PythonUnit"} == {
        "plain.keep", "plain.use", "plain.of_context", "flow.extract", "flow.worth", "flow.nothing", "flow.load"
    }  # fmt: skip


def test_what_is_called_is_what_airflow_calls(trade: Trade) -> None:
    """Every facet that can be compared agrees, the arguments of the window among them."""
    mirrors = mirrors_of(trade.root / "own_defs", trade.root)
    assert mirrors.broken == {}
    with trade.project.estate.entered():
        verified = verify_mirrors(
            Settings.from_process(), mirrors, read_inventory(trade.inventory, trade.root / "parity.yaml")
        )
    assert {str(unit.unit) for unit in verified} == set(trade.kinds)
    for unit in verified:
        facets = {facet.name: facet for facet in unit.facets}
        assert unit.differing == (), facets
        if trade.kinds[str(unit.unit)] == "PythonUnit":
            assert facets["variables"].agrees.value == "agrees", (unit.unit, facets["variables"])


def test_values_flow_between_mirrors_of_all_kinds(trade: Trade) -> None:
    """States, XComs and effects are Airflow's, in one window and in Airflow's order."""
    for dag_id, airflows in trade.oracle.items():
        for task_id in airflows["order"]:
            assert trade.run(f"{dag_id}.{task_id}").success, task_id
        records = trade.records(dag_id)
        states = {
            task_id: {str(each["map_index"]): each["state"] for each in record["instances"]}
            for task_id, record in records.items()
        }
        xcoms = {
            f"{task_id}[{each['map_index']}].{row['key']}": json.loads(row["value"]["json"])
            for task_id, record in records.items()
            for each in record["instances"]
            for row in each["xcoms"]
        }
        unread = {name: {"-1": "success"} for name in READ_BY_NOBODY & airflows["states"].keys()}
        assert {**unread, **states} == airflows["states"]
        # The oracle's database has both DAGs' XComs.
        own = {name: text for name, text in airflows["xcoms"].items() if name.partition("[")[0] in states}
        assert xcoms == {name: json.loads(text) for name, text in own.items()}
    assert sorted((trade.root / "effects").read_text().splitlines()) == sorted(trade.effects)
