"""The four commands of adopting, one after the other, on a copy of the project that has no mirror yet; and a mirror
that breaks later."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from tests.support.estate import AIRFLOW_PYTHON, NOBODY, Estate, copy_project, foreign_environment

pytestmark = pytest.mark.airflow

HEAD = """
import datetime
from airflow import DAG
from airflow.operators.bash import BashOperator
"""
DAILY = 'start_date=datetime.datetime(2026, 9, 1), schedule="0 5 * * *", catchup=False'

ALL_GAPS = f"""{HEAD}
STARTS = datetime.datetime.now() - datetime.timedelta(days=30)
with DAG("moving", start_date=STARTS, schedule="0 6 * * *"):
    BashOperator(task_id="run", bash_command="dbt run --select stg_zones")
"""
SELECTS_NOTHING = f"""{HEAD}
with DAG("audit", {DAILY}):
    BashOperator(task_id="run", bash_command="dbt run --select stg_audit+")
    BashOperator(task_id="test", bash_command="dbt test --select stg_audit+")
    BashOperator(task_id="gone", bash_command="dbt run --select tag:nobody_has_it")
"""
VERIFY_SEED = f"""{HEAD}
with DAG("loads", {DAILY}):
    BashOperator(task_id="countries", bash_command="dbt seed --select countries")
"""
# What the tasks name and the taxi project does not have: a model without tests, and a seed.
DBT_FILES = {
    "models/staging/stg_audit.sql": "select 1 as id",
    "seeds/countries.csv": "code,name\nDE,Germany\n",
}


@dataclass(frozen=True)
class Chain:
    """What each of the commands has said."""

    root: Path
    scaffold: subprocess.CompletedProcess[str]
    check: subprocess.CompletedProcess[str]
    verify: subprocess.CompletedProcess[str]

    @property
    def facets(self) -> dict[str, dict[str, dict[str, Any]]]:
        units = json.loads(self.verify.stdout)["units"]
        return {unit["unit"]: {facet["facet"]: facet for facet in unit["facets"]} for unit in units}


def adopt(root: Path, dag_files: dict[str, str], *more: str) -> Chain:
    """Export, scaffold, load and verify these DAG files, with the commands that docs/adopting.md names. `more`: words
    for `parity verify`."""
    estate = Estate(copy_project(root), dg.DagsterInstance.ephemeral())
    defs = root / "dagster_defs" / "defs"
    shutil.rmtree(defs)
    defs.mkdir()
    for name, text in DBT_FILES.items():
        path = root / "dbt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    dags, inventory = root / "dags", root / "inventory.json"
    dags.mkdir()
    for name, text in dag_files.items():
        (dags / name).write_text(text)
    exporter = root / "legacy_dags" / "handover" / "inventory.py"
    exported = subprocess.run(
        [str(AIRFLOW_PYTHON), str(exporter), "--dags-folder", str(dags),
         "--from", "2026-09-01", "--to", "2026-09-03", "--out", str(inventory)],
        env={**foreign_environment(), "AIRFLOW_HOME": str(root / "airflow")},
        capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert exported.returncode == 0, exported.stdout + exported.stderr
    return Chain(
        root,
        estate.parity("scaffold", str(inventory), "--dbt-project", "dbt", "--out", "dagster_defs/defs"),
        estate.program("dg", "check", "defs"),
        estate.parity("verify", "--inventory", str(inventory), *more),
    )


@pytest.fixture(scope="module")
def only_gaps(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return adopt(tmp_path_factory.mktemp("gaps") / "project", {"moving.py": ALL_GAPS})


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    files = {"audit.py": SELECTS_NOTHING, "loads.py": VERIFY_SEED}
    return adopt(tmp_path_factory.mktemp("adopted") / "project", files, "--json")


def test_an_estate_of_gaps_goes_through(only_gaps: Chain) -> None:
    """estate-all_gaps: with only a gaps.yaml to load, everything loads, and `verify` says that there is no mirror and
    what to do."""
    assert only_gaps.scaffold.returncode == 0, only_gaps.scaffold.stderr
    assert "computed when the DAG file is parsed" in only_gaps.scaffold.stdout
    folder = only_gaps.root / "dagster_defs" / "defs"
    assert [path.name for path in folder.rglob("*.yaml")] == ["gaps.yaml"]
    assert only_gaps.check.returncode == 0, only_gaps.check.stdout + only_gaps.check.stderr
    assert only_gaps.verify.returncode == 0, only_gaps.verify.stderr
    assert "no units: nothing is mirrored below the project's defs/" in only_gaps.verify.stdout
    assert "parity scaffold" in only_gaps.verify.stdout


def test_a_selection_of_nothing_goes_through(adopted: Chain) -> None:
    """estate-selects_nothing: the unit loads as an empty one, with a warning that names it and its selection; the
    others load too."""
    assert adopted.scaffold.returncode == 0, adopted.scaffold.stderr
    assert adopted.check.returncode == 0, adopted.check.stdout + adopted.check.stderr
    for unit, selection in (("audit.test", "stg_audit+"), ("audit.gone", "tag:nobody_has_it")):
        assert f"unit {unit}: its selection '--select {selection}' matches nothing" in adopted.check.stderr
        assert adopted.facets[unit]["selection"]["mirror"].endswith(", 0 nodes")
    assert "unit audit.run:" not in adopted.check.stderr
    assert adopted.facets["audit.run"]["selection"]["mirror"] == "dbt run, 1 nodes"


def test_a_seed_goes_through(adopted: Chain) -> None:
    """estate-verify_seed: a unit of `dbt seed` loads and verifies, and nothing of any unit differs."""
    text = (adopted.root / "dagster_defs" / "defs" / "loads" / "defs.yaml").read_text()
    [mirror] = yaml.safe_load_all(text)
    assert (mirror["attributes"]["command"], mirror["attributes"]["select"]) == ("seed", "countries")
    assert adopted.verify.returncode == 0, adopted.verify.stderr
    assert adopted.facets["loads.countries"]["selection"]["mirror"] == "dbt seed, 1 nodes"
    facets = [(name, facet["agrees"]) for unit in adopted.facets.values() for name, facet in unit.items()]
    # No inventory says which dbt Airflow has.
    assert {name for name, agrees in facets if agrees != "agrees"} == {"runtime"}


def test_the_inventory_is_its_owners_alone(adopted: Chain) -> None:
    """Commands may hold secrets: what the exporter writes has mode 0600, whatever the umask."""
    assert stat.S_IMODE((adopted.root / "inventory.json").stat().st_mode) == 0o600


WRONG = "`retries` is -1"
BROKEN = "loads.countries"


@pytest.fixture(scope="module")
def broken(adopted: Chain, tmp_path_factory: pytest.TempPathFactory) -> Estate:
    """The same project with one mirror that cannot be made."""
    root = tmp_path_factory.mktemp("broken") / "project"
    shutil.copytree(adopted.root, root, symlinks=True)
    file = root / "dagster_defs" / "defs" / "loads" / "defs.yaml"
    file.write_text(file.read_text() + "  retries: -1\n")
    return Estate(root, dg.DagsterInstance.ephemeral())


def test_the_load_warns_of_a_broken_unit(broken: Estate) -> None:
    """`dg check defs` succeeds, and its output names the unit and what is wrong; with PARITY_STRICT it fails."""
    done = broken.program("dg", "check", "defs")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"broken: unit {BROKEN}: {WRONG}" in done.stdout + done.stderr
    strict = broken.program("dg", "check", "defs", PARITY_STRICT="1")
    assert strict.returncode == 1
    assert f"unit {BROKEN}: {WRONG}" in strict.stdout + strict.stderr


@pytest.mark.parametrize("command", ["status", "verify"])
def test_a_broken_unit_is_shown(broken: Estate, command: str) -> None:
    """`status` and `verify` tell of it in text and in JSON, exit with 1, and show the other units as ever."""
    settings = {"PARITY_INVENTORY": str(broken.root / "inventory.json")}
    text, as_json = (broken.parity(command, *more, **settings) for more in ((), ("--json",)))

    assert (text.returncode, as_json.returncode) == (1, 1), text.stderr + as_json.stderr
    assert f"unit {BROKEN}: {WRONG}" in " ".join((text.stdout + text.stderr).split())
    document = json.loads(as_json.stdout)
    [fault] = document["broken"]
    assert fault["units"] == [BROKEN]
    assert WRONG in fault["why"]
    assert {"audit.run", "audit.test", "audit.gone"} <= {unit["unit"] for unit in document["units"]}
    assert "audit.run" in text.stdout


def test_a_broken_unit_is_not_compared(broken: Estate) -> None:
    """`check` over all units says in its place why nothing was compared: a wrong request, exit code 2."""
    done = broken.parity("check", "--from", "2026-09-01", "--json")

    assert done.returncode == 2, done.stderr
    [check] = [check for check in json.loads(done.stdout) if check["unit"] == BROKEN]
    assert (check["verdict"], check["error"]) == ("inconclusive", True)
    assert WRONG in check["reason"]


def test_a_broken_unit_is_not_moved(broken: Estate) -> None:
    """The gate `mirror` is closed for it: exit code 3, and the reason is the blocker's."""
    done = broken.parity("shadow", BROKEN, "--json", DAGSTER_URL=NOBODY)

    assert done.returncode == 3, done.stdout + done.stderr
    blockers = json.loads(done.stdout)["units"][0]["blockers"]
    [blocker] = [one for one in blockers if one["gate"] == "mirror"]
    assert WRONG in blocker["why"]
