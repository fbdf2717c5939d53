"""Servers and a ledger of their own for commands that move units."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fakes import FakeAirflow, FakeDagster
from tests.support.night import Night


@pytest.fixture
def night(
    tmp_path: Path,
    airflow: FakeAirflow,
    dagster_server: FakeDagster,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Night:
    return Night(tmp_path / "proxied_state", airflow, dagster_server, monkeypatch, capsys)
