"""The sensor of retired DAGs on an event log of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.instances import instance_for_test
from tests.support.retired_dags import Schedules
from tests.support.waiting_dags import AWAITED, waiting


@pytest.fixture
def schedules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Schedules]:
    with instance_for_test() as instance:
        yield Schedules(instance, tmp_path / "proxied_state", monkeypatch)


@pytest.fixture
def waits(schedules: Schedules) -> Schedules:
    """The sensor of a retired DAG that waits for `trips.load`."""
    schedules.awaited = AWAITED
    schedules.dags = [waiting()]
    schedules.retire()
    return schedules
