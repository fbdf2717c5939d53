"""Windows in which Airflow skipped a unit's task, between those that were compared."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg
import pendulum
import pytest

from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.gates import blockers
from dagster_defs.lifecycle.settings import Gate, GateSettings
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.verdicts import Evidence, WindowCheck
from dagster_defs.parity import Check, SideCounts, Verdict
from dagster_defs.settings import Settings
from dagster_defs.usecases.move.facts import read_record
from tests.components.conftest import Project
from tests.support.estate import Estate, mirrors_of
from tests.support.instances import instance_for_test

UNIT = Unit("tea", "regular")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with instance_for_test() as instance:
        project = Project(Estate(tmp_path, instance))
        (project.estate.root / "legacy_dags").mkdir()
        attributes = {
            "unit": str(UNIT),
            "schedule": {"cron": "0 6 * * *", "start": "2024-01-01"},
            "env": {"candidate": {"OUT": "shadow"}},
            "outputs": [{"key": "labels", "file": "{{ ds }}.csv"}],
            "gates": {"windows": 2, "soak_windows": 2},
        }
        project.declare("own", ("LegacyTask", attributes))
        monkeypatch.setenv("DAGSTER_HOME", instance.root_directory)
        monkeypatch.setenv("PARITY_PROXIED_STATE", str(project.estate.root / "cut"))
        yield project


def told(project: Project, day: str, state: str) -> None:
    """As the observer reports a try that wrote nothing."""
    event = dg.AssetObservation("labels", partition=day, metadata={tags.SHOWN_STATE: state})
    project.estate.instance.report_runless_asset_event(event)


def evidence(day: str) -> Evidence:
    start = datetime.fromisoformat(f"{day}T06:00:00+00:00")
    check = Check("labels", Verdict.MATCH, "", rows=SideCounts(1, 1))
    return Evidence(WindowCheck(UNIT, day, check), day, start, start)


def closed(project: Project, *days: str) -> list[str]:
    """Why the gate of the windows is closed, with a match on each of these days."""
    mirrors = mirrors_of(project.defs_folder, project.estate.root)
    record = read_record(
        Settings.from_process(), facets={}, evidence=[evidence(day) for day in days], mirrors=mirrors
    )
    settings = GateSettings(windows=2)
    found = blockers(Move.CUTOVER, record.facts(UNIT), settings, pendulum.now("UTC"), on_record=True)
    return [blocker.why for blocker in found if blocker.gate is Gate.WINDOWS]


def test_a_way_that_is_taken_now_and_then_can_be_cut_over(project: Project) -> None:
    """A window in which a branch went another way has nothing to compare, so those around it are adjacent."""
    told(project, "2024-01-03", "skipped")
    told(project, "2024-01-04", "failed")
    told(project, "2024-01-04", "skipped")

    assert closed(project, "2024-01-02", "2024-01-05") == []


@pytest.mark.parametrize("first", ["ran", "skipped"])
def test_a_window_that_also_ran_is_compared(project: Project, first: str) -> None:
    """Somebody cleared it, and the branch went another way: legacy has rows in it that nobody has looked at."""
    for what in ("ran", "skipped") if first == "ran" else ("skipped", "ran"):
        if what == "skipped":
            told(project, "2024-01-03", "skipped")
        else:
            ran = dg.AssetMaterialization("labels", partition="2024-01-03")
            project.estate.instance.report_runless_asset_event(ran)

    assert closed(project, "2024-01-02", "2024-01-04") == ["1 of 2 windows not compared"]


def test_a_window_that_dagster_skipped_for_airflow(project: Project) -> None:
    """Airflow's proxy has passed on that the operator skips itself, and its run has materialized just that."""
    told(project, "2024-01-03", "skipped")
    skip = dg.AssetMaterialization("labels", partition="2024-01-03", metadata={tags.AIRFLOW_STATE: "skipped"})
    project.estate.instance.report_runless_asset_event(skip)

    assert closed(project, "2024-01-02", "2024-01-04") == []


def test_other_windows_between_are_not_compared(project: Project) -> None:
    """One whose last try has failed, and one that nobody knows of, still close the gate."""
    told(project, "2024-01-03", "skipped")
    told(project, "2024-01-03", "failed")

    assert closed(project, "2024-01-02", "2024-01-04") == ["1 of 2 windows not compared"]
    assert closed(project, "2024-01-04", "2024-01-06") != []
