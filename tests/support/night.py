"""Runs `parity` against fake Airflow and Dagster servers: how tests make moves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dagster_defs import cli
from dagster_defs.adapters.processes.guardian import GUARDIAN
from dagster_defs.adapters.store.ledger import NAME, Ledger
from dagster_defs.adapters.store.proxied_state import read_marks, write_mark
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.ledger import Entry
from tests.support.estate import BIN, ROOT, foreign_environment
from tests.support.fake_dagster import FakeDagster, Job
from tests.support.fakes import FakeAirflow
from tests.support.owned import LONG_AGO, bring_to, entries_to

ZONES, DAILY, EXPORT = "taxi_daily.dbt_zones", "taxi_daily.dbt_daily", "taxi_daily.export_daily"
NEXT_WINDOW = "2024-03-12T10:00:00+00:00"
FORCED = ("--apply", "--force", "--reason", "a test has no inventory")


@dataclass(frozen=True)
class Answer:
    returncode: int
    stdout: str
    stderr: str


@dataclass
class Night:
    """The real project, with its own folder of marks and its own servers. Airflow serves what the marks say, unless it
    `lags`."""

    folder: Path
    airflow: FakeAirflow
    dagster: FakeDagster
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    lags: bool = field(default=False)

    def __post_init__(self) -> None:
        units = [Unit.parse(unit) for unit in (ZONES, DAILY, EXPORT)]
        for unit in units:
            bring_to(self.folder, unit, Stage.SHADOWED)
        names = [unit.identifier for unit in units]
        self.dagster.jobs = [Job(f"{prefix}{name}") for name in names for prefix in ("", "shadow__")]
        self.airflow.operators = self.operator
        for name in os.environ.keys() - foreign_environment().keys():
            self.monkeypatch.delenv(name)
        for name, value in self.settings.items():
            self.monkeypatch.setenv(name, value)

    def cut_over(self) -> None:
        """Cut over all units of the DAG, long ago; Dagster can start the DAG, and Airflow knows its next window."""
        units = [Unit.parse(unit) for unit in (ZONES, DAILY, EXPORT)]
        with (self.folder / NAME).open("a") as ledger:
            for unit in units:
                _, _, *moved = entries_to(unit, Stage.CUT_OVER)
                ledger.writelines(f"{json.dumps(entry.as_json())}\n" for entry in moved)
                write_mark(self.folder, unit, proxied=True)
        self.dagster.jobs.append(Job("taxi_daily"))
        self.dagster.sensors["airflow_schedules"] = ("RUNNING", ["taxi_daily"])
        self.airflow.next_windows["taxi_daily"] = NEXT_WINDOW
        self.airflow.dag_tasks["taxi_daily"] = {unit.task_id: "ProxyToDagster" for unit in units}

    @property
    def settings(self) -> dict[str, str]:
        return {
            "AIRFLOW_URL": self.airflow.url,
            "AIRFLOW_USER": "admin",
            "AIRFLOW_PASSWORD": "admin",
            "DAGSTER_URL": self.dagster.url,
            "PARITY_OPERATOR": "ada@ops",
            "PARITY_PROXIED_STATE": str(self.folder),
        }

    def operator(self, dag_id: str, task_id: str) -> str:
        proxied = not self.lags and read_marks(self.folder).get(Unit(dag_id, task_id), False)
        return "ProxyToDagster" if proxied else "BashOperator"

    def parity(self, *arguments: str, operator: str = "ada@ops") -> Answer:
        """Run the command in this process: its imports take longer than most of its work."""
        self.capsys.readouterr()
        self.monkeypatch.setattr(sys, "argv", ["parity", *arguments])
        self.monkeypatch.setenv("PARITY_OPERATOR", operator)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = self.capsys.readouterr()
        return Answer(int(ended.value.code or 0), shown.out, shown.err)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """The command as a running program."""
        return GUARDIAN.start(
            [str(BIN / "parity"), *arguments],
            cwd=ROOT,
            env={**foreign_environment(), **self.settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def stage(self, unit: str = ZONES) -> dict[str, Any]:
        units = json.loads(self.parity("status", "--json").stdout)["units"]
        [row] = [each for each in units if each["unit"] == unit]
        return dict(row)

    def entries(self) -> list[Entry]:
        """The entries that the test's commands made."""
        return [entry for entry in Ledger(self.folder).read().entries if entry.at != LONG_AGO]

    def marked(self, unit: str = ZONES) -> bool:
        return read_marks(self.folder).get(Unit.parse(unit), False)


def wait_for(fact: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < until, "it does not come about"
        time.sleep(0.05)
