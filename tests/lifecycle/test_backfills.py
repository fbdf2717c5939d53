"""Windows that somebody wants to be run again, put into runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from dagster_defs.adapters.dagster.partitions import partitioned
from dagster_defs.errors import Unaligned
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.backfills import Backfill, BackfillRun, runs_over
from dagster_defs.lifecycle.gates import Blocker
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.lifecycle.settings import Gate
from dagster_defs.windows import PartitionedSchedule, Schedule, Window

NEW_YORK = partitioned(Schedule.of("0 6 * * *", "America/New_York", "2024-03-01", None))


@dataclass(frozen=True)
class Runs:
    """As much of a mirror as its runs depend on."""

    partitions: PartitionedSchedule
    takes_ranges: bool


def runs(*keys: str, together: bool = True) -> list[BackfillRun]:
    return list(
        runs_over(cast("Mirror", Runs(NEW_YORK, together)), [NEW_YORK.window_of(key) for key in keys])
    )


def test_windows_beside_each_other_are_one_run() -> None:
    """In whatever order they were asked for, and over a clock change; a missing one between them makes two."""
    found = runs("2024-03-11", "2024-03-09", "2024-03-10", "2024-03-13")

    assert [str(run) for run in found] == ["2024-03-09 … 2024-03-11 (3)", "2024-03-13"]
    assert found[0].windows == tuple(NEW_YORK.windows_between("2024-03-09", "2024-03-11"))


def test_a_unit_that_takes_no_ranges_has_a_run_for_each() -> None:
    """Where a variable has no bound each window is run by itself."""
    assert [str(run) for run in runs("2024-03-09", "2024-03-10", together=False)] == [
        "2024-03-09",
        "2024-03-10",
    ]


def test_no_windows_are_no_runs() -> None:
    """Nothing to fill is no run, and no error."""
    assert runs() == []


def test_a_window_of_another_schedule_is_refused() -> None:
    """What is no window of the unit's is never guessed."""
    window = NEW_YORK.window_of("2024-03-11")
    shifted = Window(window.start.add(hours=1), window.end.add(hours=1))

    with pytest.raises(Unaligned):
        list(runs_over(cast("Mirror", Runs(NEW_YORK, True)), [shifted]))


def test_the_json_of_a_backfill() -> None:
    """Unit, runs and blockers, as the reference documents them."""
    blocker = Blocker(Gate.LIVE_RUN, "under way: a run", "Wait until they are over")
    found = Backfill(
        Unit("taxi", "daily"), Stage.CUT_OVER, tuple(runs("2024-03-09", "2024-03-10")), (blocker,)
    )

    assert found.as_json() == {
        "unit": "taxi.daily",
        "runs": [{"first": "2024-03-09", "last": "2024-03-10", "windows": 2}],
        "blockers": [{"gate": "live_run", "why": "under way: a run", "remedy": "Wait until they are over"}],
    }
