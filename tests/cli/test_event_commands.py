"""What each command says about a unit without a clock: a clear answer, and never a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from dagster_defs.lifecycle import tags
from dagster_defs.windows import Occasion
from tests.support.estate import Estate, copy_project
from tests.support.instances import instance_for_test

UNIT = "asked.note"
MIRROR = {
    "type": "dagster_defs.components.PythonUnit",
    "attributes": {
        "unit": UNIT,
        "schedule": {"event": "manual"},
        "function": "include.export.export_daily",
        "outputs": [{"key": "note", "file": "noted_{{ run_id }}.csv"}],
    },
}


@dataclass(frozen=True)
class Place:
    estate: Estate
    home: Path

    def said(self, *arguments: str, code: int = 0) -> str:
        done = self.estate.parity(*arguments, DAGSTER_HOME=str(self.home))
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return str(done.stdout + done.stderr)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A project whose only unit has no clock; legacy has run it once."""
    root = copy_project(tmp_path_factory.mktemp("events") / "project")
    shutil.rmtree(root / "dagster_defs" / "defs")
    (root / "dagster_defs" / "defs" / "own").mkdir(parents=True)
    (root / "dagster_defs" / "defs" / "own" / "defs.yaml").write_text(yaml.safe_dump(MIRROR))
    with instance_for_test() as instance:
        occasion = Occasion("manual__1", conf={"x": 1})
        noted: dict[str, Any] = {
            tags.SHOWN_RUN_ID: occasion.run_id,
            tags.SHOWN_TRY: 1,
            tags.OCCASION: dg.MetadataValue.json(occasion.as_json()),
        }
        instance.report_runless_asset_event(dg.AssetMaterialization("note", metadata=noted))
        yield Place(Estate(root, instance), Path(instance.root_directory))


def test_windows_lists_its_runs(place: Place) -> None:
    """There are no windows: the runs that have written something, by their ids."""
    message = place.said("windows", UNIT)
    assert "manual__1" in message
    assert "its DAG has no clock" in message
    assert "1 runs without a window" in message

    [document] = json.loads(place.said("windows", UNIT, "--json"))["units"]
    assert (document["of_event"], document["windows"], document["continuous"]) == (True, 1, True)


def test_status_counts_no_windows(place: Place) -> None:
    """The unit is there, and waits for what any unit waits for."""
    assert UNIT in place.said("status")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("check", UNIT), 2, "a file belongs to one run"),
        (("explain", UNIT), 2, "no evidence is available"),
        (("explain", UNIT, "--window", "manual__1"), 2, "no evidence is available"),
        (("keys", UNIT), 0, ""),
        (("rehearse", UNIT, "--last", "1"), 2, "no inventory"),
        (("retire", "asked"), 2, "it is observed"),
        (("backfill", UNIT, "--from", "2024-03-01"), 2, "it is observed"),
        (("shadow", UNIT), 3, ""),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_each_command_has_an_answer(
    place: Place, arguments: tuple[str, ...], code: int, message: str
) -> None:
    """Where a command is about windows, it says that there are none."""
    assert message in place.said(*arguments, code=code)


def test_the_report_has_its_runs(place: Place, tmp_path: Path) -> None:
    """The page is written, and the run is on it."""
    page = tmp_path / "report.html"
    place.said("report", str(page))
    assert "manual__1" in page.read_text()
