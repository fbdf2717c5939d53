"""`triggered_by` in a mirror's YAML: what is read, and what is refused when the definitions load."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_defs.components.units.unit_schedule import UnitSchedule
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.starters import Condition, Starters, Trigger

CONDITION = {"all": ["s3://a", {"any": ["s3://b", "s3://c"]}]}
WRITTEN = {"s3://a": ["up.load"], "s3://b": ["up.load"], "s3://c": ["more.load"]}
BY: dict[str, Any] = {
    "tasks": [{"task": "up.start", "after": ["load"], "conf": {"day": "{{ ds }}"}, "reset": True}],
    "datasets": CONDITION,
    "written_by": WRITTEN,
}


def starters(event: str | None = "datasets", **by: Any) -> Starters | None:
    schedule = {"event": event} if event else {"cron": "@daily", "start": "2024-01-01"}
    read: UnitSchedule = UnitSchedule.resolve_from_dict({**schedule, "triggered_by": by})
    return read.starters("down.work")


def test_all_of_it_is_read() -> None:
    """Airflow's templates stay as they are: Dagster's own, of the same look, do not touch them."""
    assert starters(**BY) == Starters(
        (Trigger(Unit("up", "start"), ("load",), {"day": "{{ ds }}"}, reset=True),),
        Condition(True, ("s3://a", Condition(False, ("s3://b", "s3://c")))),
        {
            "s3://a": (Unit("up", "load"),),
            "s3://b": (Unit("up", "load"),),
            "s3://c": (Unit("more", "load"),),
        },
    )


@pytest.mark.parametrize(
    ("event", "by", "said"),
    [
        (None, BY, "it has a clock and `triggered_by`"),
        ("once", BY, "it has `event: once` and `triggered_by`"),
        ("manual", BY, "`triggered_by` names datasets"),
        ("manual", {}, "`triggered_by` names nothing"),
        ("datasets", {**BY, "datasets": {"all": ["s3://a"]}}, "s3://b is in only one of"),
        ("datasets", {**BY, "written_by": {}}, "s3://a is in only one of"),
        ("datasets", {**BY, "datasets": {"some": ["s3://a"]}}, "one key, `all` or `any`"),
        ("datasets", {**BY, "datasets": {"all": []}}, "`all` has to be a list"),
        ("manual", {"tasks": [{"task": "up"}]}, "up"),
    ],
)
def test_what_starts_nothing_is_refused(event: str | None, by: dict[str, Any], said: str) -> None:
    """With what to write instead, and before anybody relies on it."""
    with pytest.raises(ParityError) as refused:
        starters(event, **by)

    assert said in str(refused.value)
