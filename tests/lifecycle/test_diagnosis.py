"""How `parity doctor` judges what it has measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.diagnosis import (
    Deployment,
    Diagnosis,
    Finding,
    Health,
    Skew,
    of_clock,
    of_deployment,
)
from dagster_defs.lifecycle.worker_look import Look, Told, of_look

OK, WARNING, FAILED, NOT_KNOWN = Health.OK, Health.WARNING, Health.FAILED, Health.NOT_KNOWN
ZONES = Unit("taxi_daily", "dbt_zones")
AT = datetime(2024, 3, 10, 6, tzinfo=timezone.utc)
WATCHED = {"enabled": True, "max_runtime_seconds": 3600, "free_slots_after_run_end_seconds": 60}
SOUND = Deployment("K8sRunLauncher", True, WATCHED, {"dbt_legacy": 2}, None, {})
LOOK = Look("w1", "0.1.0", AT, "file", "/marks", {ZONES: Told(True, "7")}, "http://d", "", Skew(0.1, 0.5))


@pytest.mark.parametrize(
    ("skew", "health"),
    [
        (Skew(0.3, 0.5), OK),
        (Skew(-4.9, 0.0), OK),
        (Skew(5.4, 0.5), OK),
        (Skew(5.6, 0.5), WARNING),
        (Skew(-61.0, 0.5), FAILED),
        (None, NOT_KNOWN),
    ],
)
def test_clocks(skew: Skew | None, health: Health) -> None:
    """Only what two clocks are apart for certain counts: the rest may be the time that the answer took."""
    assert of_clock("x", "the", skew).health is health


@pytest.mark.parametrize(
    ("changed", "pools", "expected"),
    [
        ({}, ["dbt_legacy"], {"dagster.monitoring": OK, "dagster.slots": OK, "dagster.pools": OK}),
        ({"monitoring": None}, [], {"dagster.monitoring": NOT_KNOWN, "dagster.pools": OK}),
        ({"monitoring": {}}, [], {"dagster.monitoring": WARNING, "dagster.pools": OK}),
        (
            {"monitoring": {"enabled": True}},
            [],
            {"dagster.monitoring": WARNING, "dagster.slots": WARNING, "dagster.pools": OK},
        ),
        ({}, ["other"], {"dagster.monitoring": OK, "dagster.slots": OK, "dagster.pools": WARNING}),
        (
            {"default_limit": 1},
            ["other"],
            {"dagster.monitoring": OK, "dagster.slots": OK, "dagster.pools": OK},
        ),
    ],
)
def test_an_instance(changed: dict[str, Any], pools: list[str], expected: dict[str, Health]) -> None:
    """Monitoring that is off or has no bound, slots that stay taken and pools without a limit are named."""
    found = list(of_deployment(replace(SOUND, **changed), pools))

    assert {each.check: each.health for each in found} == expected
    assert all(each.remedy for each in found if each.health is not OK)


@pytest.mark.parametrize(
    ("look", "record", "moved", "health", "said"),
    [
        (LOOK, {ZONES: Told(True, "7")}, None, OK, "1 marks as they are on record"),
        (LOOK, {}, None, OK, "nothing, as there is no mark on record"),
        (
            LOOK,
            {ZONES: Told(False, "9")},
            AT,
            FAILED,
            "it is told Dagster, by position 7; on record is Airflow",
        ),
        # An older copy that names the same owner is another mark all the same.
        (LOOK, {ZONES: Told(True, "9")}, AT, FAILED, "on record is Dagster, by position 9"),
        (replace(LOOK, owners={ZONES: Told(problem="no ledger")}), {ZONES: Told()}, AT, FAILED, "no ledger"),
        (LOOK, {ZONES: Told(False, "9")}, AT + timedelta(seconds=1), NOT_KNOWN, "before the last move"),
        (replace(LOOK, owners={}), {ZONES: Told(True, "7")}, AT, NOT_KNOWN, "was not asked for taxi_daily"),
    ],
)
def test_what_a_worker_reads(
    look: Look, record: dict[Unit, Told], moved: datetime | None, health: Health, said: str
) -> None:
    """Owner and position have to be those on record; a look that is older than the last move tells nothing."""
    marks, *_ = of_look(look, record, moved, "0.1.3", "")

    assert (marks.check, marks.health) == ("worker.marks", health)
    assert said in marks.said


def test_what_else_a_worker_finds() -> None:
    """Another version, a Dagster that it does not reach, and a clock that is a minute off."""
    apart = replace(LOOK, version="0.9.0", skew=Skew(-90, 1))
    version, reached, clock = list(of_look(apart, {}, None, "0.1.0", "[shop]"))[1:]
    away = list(of_look(replace(LOOK, unreachable="refused"), {}, None, "0.1.0", ""))[-1]

    assert (version.check, version.health) == ("worker.version[shop]", FAILED)
    assert (reached.health, clock.health, away.health) == (OK, FAILED, FAILED)
    assert "90.0 s behind its own" in clock.said
    assert "does not reach Dagster: refused" in away.said


@pytest.mark.parametrize("document", [None, {}, {"schema": "other/1"}, {"schema": "parity/doctor-look/1"}])
def test_what_is_no_look(document: Any) -> None:
    """Another DAG's XCom is not taken for a look."""
    with pytest.raises(ValueError, match="it "):
        Look.parse(document, "look")


def test_only_a_failure_is_unsound() -> None:
    """Warnings and what is not known leave the exit code at 0."""
    findings = [Finding("x", health, "said", "do") for health in (OK, WARNING, NOT_KNOWN)]

    assert Diagnosis(tuple(findings)).is_sound
    assert not Diagnosis((*findings, Finding("x", FAILED, "said", "do"))).is_sound
