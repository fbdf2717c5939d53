"""The sensor of retired DAGs on an event log of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.instances import instance_for_test
from tests.support.retired_dags import Schedules


@pytest.fixture
def schedules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Schedules]:
    with instance_for_test() as instance:
        yield Schedules(instance, tmp_path / "proxied_state", monkeypatch)
