"""A company that nobody here knows: 120 tasks of every shape, each disposed of as it should be by the four commands."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.adopted import adopted, run_in
from tests.support.estate import ROOT

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1800)]

INVENTED = ROOT / "tests" / "usecases" / "invented"
NEEDLESS, NONE = "needless", "none"

# Whatever is not named here has a DbtUnit. Later patterns win.
DISPOSED = {
    "harbour_containers.by_subclass": "DbtUnit",
    "harbour_containers.cloud_unknown": "LegacyTask",
    "harbour_containers.tides": "LegacyTask",
    "harbour_containers.unknown_image": "LegacyTask",
    "harbour_daily.*docs": "LegacyTask",
    "harbour_daily.clean": "LegacyTask",
    "harbour_daily.deps": "LegacyTask",
    "harbour_daily.fresh": "LegacyTask",
    "harbour_daily.listed": "LegacyTask",
    "harbour_daily.start": NEEDLESS,
    "harbour_daily.done": NEEDLESS,
    "harbour_daily.latest": NEEDLESS,
    "harbour_dead.*": NONE,
    "harbour_hourly.*": "LegacyTask",
    "harbour_hourly.calls": "DbtUnit",
    "harbour_hourly.by_*": NEEDLESS,
    "harbour_moving.*": NONE,
    "harbour_repair.chosen": "LegacyTask",
    "harbour_repair.repaired": NEEDLESS,
    "harbour_side.module": "LegacyTask",
    "harbour_side.script": "LegacyTask",
    "harbour_side.says_something": "LegacyTask",
    "harbour_sql.*": "LegacyTask",
    "harbour_sql.billing.fees": "DbtUnit",
    "harbour_taskflow.*": "LegacyTask",
    "harbour_waiting.*": NONE,
    "harbour_waiting.levies": "DbtUnit",
    "harbour_waiting.repair": NEEDLESS,
    "harbour_weekly.said": "LegacyTask",
}
# What a mirror still lacks, or a task has instead of one, in words of the YAML or of the summary.
REASONS = {
    "is computed when the DAG file is parsed": 3,
    "is no wait of the schedule": 1,
}
Run = Callable[..., subprocess.CompletedProcess[str]]


def disposed(unit: str) -> str:
    return next((kind for pattern, kind in reversed(DISPOSED.items()) if fnmatch(unit, pattern)), "DbtUnit")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adopted(tmp_path_factory.mktemp("clone"), INVENTED)


@pytest.fixture(scope="module")
def run(clone: Path) -> Run:
    """A program in the clone, which must succeed; `python` is Airflow's."""

    def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        done = run_in(clone, command, HARBOUR_DATA=str(clone), **variables)
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    return run


@pytest.fixture(scope="module")
def inventory(clone: Path, run: Run) -> Mapping[str, Any]:
    """What the exporter says in the company's own Airflow: its AIRFLOW_HOME, its configuration and its plugins."""
    home = clone / "airflow_home"
    home.mkdir()
    (home / "airflow.cfg").write_text(
        f"[core]\nplugins_folder = {clone / 'plugins'}\nload_examples = False\n"
    )
    exporter = ("legacy_dags/handover/inventory.py", "--dags-folder", "dags", "--out", "inventory.json")
    span = ("--from", "2024-03-01", "--to", "2024-03-14")
    own = {"AIRFLOW_HOME": str(home), "PYTHONPATH": str(clone / "plugins")}
    run("python", *exporter, *span, **own)
    found: Mapping[str, Any] = json.loads((clone / "inventory.json").read_text())
    return found


@pytest.fixture(scope="module")
def summary(run: Run, inventory: Mapping[str, Any]) -> Mapping[str, Any]:
    command = ("inventory", "inventory.json", "--dbt-project", "dbt", "--summary", "--json")
    found: Mapping[str, Any] = json.loads(run("parity", *command).stdout)
    return found


@pytest.fixture(scope="module")
def mirrors(clone: Path, run: Run, inventory: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The scaffolded documents, by unit."""
    command = ("scaffold", "inventory.json", "--dbt-project", "dbt", "--out", "dagster_defs/defs")
    run("parity", *command)
    documents = [
        document
        for file in sorted((clone / "dagster_defs" / "defs").rglob("defs.yaml"))
        for document in yaml.safe_load_all(file.read_text())
        if document
    ]
    return {document["attributes"]["unit"]: document for document in documents}


def test_every_file_is_read_with_the_companys_own_airflow(inventory: Mapping[str, Any]) -> None:
    """120 tasks and more, and one file that imports a package that is nowhere, by its name."""
    [broken] = inventory["import_errors"]
    assert broken["file"].endswith("harbour_broken.py")
    assert "harbour_of_yesterday" in broken["error"]
    assert sum(len(dag["tasks"]) for dag in inventory["dags"]) >= 120


def test_each_task_is_disposed_of_as_it_should_be(
    clone: Path, inventory: Mapping[str, Any], mirrors: Mapping[str, Mapping[str, Any]]
) -> None:
    """Its mirror is of the kind that is expected, or the YAML says that it needs none, or it has none."""
    units = [f"{dag['dag_id']}.{task['task_id']}" for dag in inventory["dags"] for task in dag["tasks"]]
    written = "".join(file.read_text() for file in (clone / "dagster_defs" / "defs").rglob("*.yaml"))

    def kind(unit: str) -> str:
        if unit in mirrors:
            return str(mirrors[unit]["type"].rpartition(".")[2])
        return NEEDLESS if f"# {unit} needs no mirror" in written else NONE

    wrong = {unit: (kind(unit), disposed(unit)) for unit in units if kind(unit) != disposed(unit)}

    assert wrong == {}
    assert mirrors.keys() <= set(units)


def test_nine_tenths_have_a_mirror_that_works(summary: Mapping[str, Any]) -> None:
    """Of the tasks, and of the DAGs; what is left has its reason, each counted once."""
    tasks, dags = summary["tasks"], summary["dags"]
    reached = tasks["mirrored"] + tasks["with_gap"] + tasks["as_it_is"] + tasks["needless"]

    assert reached >= 0.9 * tasks["all"]
    assert sum(summary["reasons"].values()) == tasks["all"] - reached
    for words, count in REASONS.items():
        assert sum(n for reason, n in summary["reasons"].items() if words in reason) == count, words
    # A moving start has no windows, and a wait in the middle of a DAG has no schedule.
    kept = {"harbour_moving", "harbour_waiting"}
    assert dags["all"] - len(dags["reachable"]) == len(kept)
    assert not kept.intersection(dags["reachable"])
    assert dags["import_errors"] == 1


def test_what_was_written_loads_and_verifies(run: Run, mirrors: Mapping[str, Mapping[str, Any]]) -> None:
    """`dg check defs` finds no broken unit, and nothing differs from what Airflow said."""
    run("dg", "check", "defs", PARITY_STRICT="1")
    verify = ("verify", "--inventory", "inventory.json", "--json")
    said = json.loads(run("parity", *verify).stdout)

    assert {unit["unit"] for unit in said["units"]} == mirrors.keys()
    differs = {
        (unit["unit"], facet["facet"], facet["detail"])
        for unit in said["units"]
        for facet in unit["facets"]
        if facet["agrees"] == "differs"
    }
    assert differs == set()
    assert said["broken"] == []
