"""What `parity status` keeps of the mirrors: used while nothing has changed, and never a moment longer."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.lifecycle.facets import UnitFacets
from dagster_defs.lifecycle.programs_beside import ProgramBeside
from dagster_defs.lifecycle.settings import Gate, GateSettings
from dagster_defs.settings import Settings
from dagster_defs.usecases import known_mirrors
from dagster_defs.usecases.known_mirrors import KnownMirrors, keep, recall
from tests.support.estate import BIN, Estate, copy_project, export_inventory

DAILY, ZONES = Unit("taxi", "daily"), Unit("taxi", "zones.of.a.group")
BESIDE = ProgramBeside("aws", "before", shadow=False)
KNOWN = KnownMirrors(
    {
        DAILY: GateSettings(3, ("ordering",), without=(Gate.SOAK,)),
        ZONES: GateSettings(beside=(BESIDE,), not_started=("later",)),
    },
    {"no unit": "its name is none", "taxi.broken": "unit taxi.broken: `retries` is -1"},
    {DAILY: (ZONES,), ZONES: ()},
    {DAILY: UnitFacets(DAILY, (Facet("retries", Agreement.DIFFERS, "2", "1", "“two”", 3),))},
    {"": "/nowhere/state"},
    {ZONES: ("team:zones",)},
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of a few files, whose mirrors are known."""
    for name in (
        "pyproject.toml",
        "dagster_defs/defs/defs.yaml",
        "dbt/models/a.sql",
        "profiles/profiles.yml",
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("before")
    (tmp_path / "inventory.json").write_text("{}")
    monkeypatch.setattr(known_mirrors, "OWN_CODE", tmp_path / "product")
    keep(settings(tmp_path), KNOWN, {tmp_path / "dbt", tmp_path / "dagster_defs"}, time.time() + 10)
    return tmp_path


def settings(project: Path, **more: str) -> Settings:
    named = {"PARITY_INVENTORY": project / "inventory.json", "DBT_PROFILES_DIR": project / "profiles"}
    return Settings({name: str(path) for name, path in named.items()} | more, project)


def kept_in(project: Path) -> Path:
    return settings(project).known_mirrors


def test_what_was_kept_comes_back(project: Path) -> None:
    """Nothing is lost on the way through the file, which is its owner's alone."""
    assert recall(settings(project)) == KNOWN
    assert kept_in(project).stat().st_mode & 0o777 == 0o600


def edited(name: str) -> Callable[[Path], object]:
    return lambda project: (project / name).write_text("after!")


def new(name: str) -> Callable[[Path], object]:
    def make(project: Path) -> None:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("new")

    return make


def as_old_as_before(project: Path) -> None:
    """As long and as old as it was, by its times: an archive or `touch -r` does that."""
    file = project / "dbt" / "models" / "a.sql"
    was = file.stat()
    file.write_text("beforE")
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "a mirror's YAML": edited("dagster_defs/defs/defs.yaml"),
    "the project's own file": edited("pyproject.toml"),
    "the settings of dg": new("dg.toml"),
    "a dbt model": edited("dbt/models/a.sql"),
    "a dbt model, secretly": as_old_as_before,
    "a new model": new("dbt/models/more/b.sql"),
    "a model less": lambda project: (project / "dbt/models/a.sql").unlink(),
    "another name": lambda project: (project / "dbt/models/a.sql").rename(project / "dbt/models/b.sql"),
    "a package of dbt's": new("dbt/dbt_packages/p/macros/m.sql"),
    "this package": new("product/windows/schedule.py"),
    "the inventory": edited("inventory.json"),
    "what the team says": new("parity.yaml"),
    "no inventory": lambda project: (project / "inventory.json").unlink(),
    "the profile": edited("profiles/profiles.yml"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen(project: Path, change: Callable[[Path], object]) -> None:
    """Whatever the mirrors rest on: once it is another, what was kept counts no more."""
    change(project)
    assert recall(settings(project)) is None


@pytest.mark.parametrize(
    "name",
    ["dbt/target/manifest.json", "dbt/logs/dbt.log", "dbt/.user.yml", "dagster_defs/__pycache__/a.pyc"],
)
def test_what_runs_leave_behind_is_no_change(project: Path, name: str) -> None:
    """Files that dbt and Python make by themselves are not what the mirrors are made from."""
    new(name)(project)
    assert recall(settings(project)) == KNOWN


def test_the_environment_counts(project: Path) -> None:
    """YAML and dbt read variables: another value is another estate. What a shell sets for itself is not."""
    assert recall(settings(project, TAXI_DATA_DIR="elsewhere")) is None
    assert recall(settings(project, SHLVL="3", COLUMNS="80")) == KNOWN


def test_what_changes_meanwhile_is_not_kept(project: Path) -> None:
    """A file that changed while the mirrors were read, or just before, may have been read as it was."""
    kept_in(project).unlink()
    keep(settings(project), KNOWN, {project / "dbt"}, time.time())
    assert not kept_in(project).exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"digest": 1}', b"\xff\xfe", b'{"digest": "x", "folders": ["/"], "known": 3}'],
)
def test_a_spoilt_file_is_as_good_as_none(project: Path, content: bytes) -> None:
    """It is made again; nobody reads an error."""
    kept_in(project).write_bytes(content)
    assert recall(settings(project)) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda known: known.pop("gates"),
        lambda known: known["gates"].update({"nodots": {}}),
        lambda known: known["gates"]["taxi.daily"].update(without=["weather"]),
        lambda known: known.update(facets=[{"unit": "taxi.daily", "facets": [{"facet": "retries"}]}]),
        lambda known: known.update(broken=[1]),
    ],
)
def test_spoilt_knowledge_is_as_good_as_none(
    project: Path, spoil: Callable[[dict[str, object]], object]
) -> None:
    """With a right digest too."""
    document = json.loads(kept_in(project).read_bytes())
    spoil(document["known"])
    kept_in(project).write_text(json.dumps(document))
    assert recall(settings(project)) is None


def test_a_folder_that_cannot_be_written_to_costs_nothing(project: Path) -> None:
    """The next call takes its time, and this one says nothing of it."""
    shutil.rmtree(kept_in(project).parent)
    kept_in(project).parent.write_text("a file where the folder should be")
    keep(settings(project), KNOWN, (), time.time() + 10)
    assert recall(settings(project)) is None


@pytest.mark.airflow
def test_a_warm_status_says_what_a_cold_one_says(estate: Estate, tmp_path: Path) -> None:
    """The second call says the same, without Dagster and dbt; marks, models and YAML that change show at once."""
    own = Estate(copy_project(tmp_path / "own"), estate.instance)
    inventory = {
        "PARITY_INVENTORY": str(export_inventory(tmp_path / "inventory.json", "2024-03-01", "2024-03-02"))
    }
    kept = own.root / ".parity" / "known-mirrors.json"

    # What is written within a second before the mirrors are read might change again unseen, so nothing is kept.
    while time.time() - Path(inventory["PARITY_INVENTORY"]).stat().st_ctime < 1.1:
        time.sleep(0.05)
    cold = own.parity("status", "--json", **inventory)
    assert kept.exists()
    warm = own.parity("status", "--json", **inventory)
    assert (warm.returncode, warm.stdout, warm.stderr) == (cold.returncode, cold.stdout, cold.stderr)

    listed = own.program("python", "-X", "importtime", str(BIN / "parity"), "status", **inventory)
    imported = set(re.findall(r"\| +([\w.]+)$", listed.stderr, re.MULTILINE))
    assert "dagster_defs.usecases.status" in imported
    assert not {"dagster", "dagster_dbt", "dbt", "duckdb", "httpx"} & {
        name.split(".")[0] for name in imported
    }

    write_mark(Path(own.settings["PARITY_PROXIED_STATE"]), Unit("taxi_daily", "dbt_daily"), proxied=True)
    assert "dagster" in _owners(own.parity("status", "--json", **inventory).stdout).values()

    model = own.root / "dbt" / "models" / "marts" / "daily_metrics.sql"
    assert model.exists()
    model.unlink()
    assert json.loads(own.parity("status", "--json", **inventory).stdout) != json.loads(warm.stdout)


def _owners(document: str) -> dict[str, str]:
    return {unit["unit"]: unit["owner"] for unit in json.loads(document)["units"]}
