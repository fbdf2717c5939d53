"""An estate of one unit whose function fails, receivers on loopback ports, and the sensor that tells them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.lifecycle import Stage, Unit
from tests.components.conftest import NEW_YORK_DAYS, Project
from tests.support.estate import Estate
from tests.support.instances import instance_for_test
from tests.support.owned import bring_to
from tests.support.receivers import Hook, Mailbox, mail_server, web_hook

DAY = ("2024-03-09", "2024-03-09")  # to 06:00 on the 10th, when clocks have gone forward
UNIT = Unit("own", "python")
CODE = """
import os
import time
from pathlib import Path

here = Path(__file__).parent


def fails(side):
    raise OSError("the share is not there")


def works(side):
    pass


def fails_once(side):
    if not (here / "tried").exists():
        (here / "tried").touch()
        raise OSError("the share is not there yet")


def tell(context):
    task = context["task_instance"]
    bounds = [context[name].isoformat() for name in ("data_interval_start", "data_interval_end")]
    with (here / "told").open("a") as told:
        told.write(" ".join([f"{task.dag_id}.{task.task_id}", *bounds, task.log_url]) + "\\n")


def is_killed(side):
    os._exit(9)
"""


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
def hook() -> Iterator[Hook]:
    with web_hook() as hook:
        yield hook


@pytest.fixture
def slack() -> Iterator[Hook]:
    with web_hook() as hook:
        yield hook


@dataclass
class Alerted:
    """`receivers`: the attributes of the component Alerts. `module`: of the unit's functions, a name of its own for
    each test, because Python imports a name once."""

    project: Project
    receivers: dict[str, Any] = field(default_factory=dict)
    module: str = field(default_factory=lambda: f"alert_functions_{time.monotonic_ns()}")

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.project.estate.instance

    def declare(self, function: str, **attributes: Any) -> None:
        """The unit, retired, and whom its alerts go to; and a first look, before which nothing is anybody's alert."""
        root = self.project.estate.root
        bring_to(root / "owned", UNIT, Stage.RETIRED)
        folder = root / "alert_code"
        folder.mkdir(exist_ok=True)
        (folder / f"{self.module}.py").write_text(CODE)
        declared = {
            "unit": str(UNIT), "schedule": {**NEW_YORK_DAYS, "end": "2024-03-20"},
            "function": f"{self.module}.{function}", "python_path": folder.name,
            "outputs": [{"key": "thing"}], "owners": ["team:data-platform"], **attributes,
        }  # fmt: skip
        self.project.declare("own", ("PythonUnit", declared))
        self.project.declare("alerts", ("Alerts", self.receivers))
        self.project.load()

    def run(self, days: tuple[str, str] = DAY, tags: Mapping[str, str] | None = None) -> dg.DagsterRun:
        result = self.project.estate.run("own__python", days, tags=tags, must_succeed=False)
        return result.dagster_run

    def tick(self) -> str:
        """One look of the sensor, as the daemon evaluates it; what it says."""
        definitions = self.project.estate.definitions
        with (
            self.project.estate.entered(),
            dg.build_sensor_context(instance=self.instance, definitions=definitions) as context,
        ):
            told = definitions.resolve_sensor_def("alerts").evaluate_tick(context)
        return str(told.skip_message)


@dataclass(frozen=True)
class Reachable(Estate):
    """An estate whose environment says where Dagster answers, and whose record says that Dagster owns the unit."""

    @property
    def settings(self) -> Mapping[str, str]:
        there = {
            "DAGSTER_URL": "http://dagster.example:3000",
            "PARITY_PROXIED_STATE": str(self.root / "owned"),
        }
        return {**super().settings, **there}


@pytest.fixture
def alerted(tmp_path: Path) -> Iterator[Alerted]:
    root = tmp_path / "project"
    root.mkdir()
    with instance_for_test() as instance:
        yield Alerted(Project(Reachable(root, instance)))
