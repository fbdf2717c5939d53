"""`parity watch`, the dead man's switch, beside a real dagster-daemon that is stopped by its id."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_defs.adapters.dagster.evidence import instance_at
from dagster_defs.adapters.processes.supervisor import Child, Supervisor
from dagster_defs.lifecycle import Stage, Unit
from tests.support.estate import BIN, Estate, copy_project
from tests.support.owned import bring_to
from tests.support.receivers import Hook, web_hook

SILENT_AFTER = 4
ZONES = [Unit("taxi_daily", task) for task in ("dbt_daily", "dbt_zones", "export_daily")]


@dataclass
class Watched:
    """The taxi estate with a receiver, and a Dagster home whose daemon has nothing to do."""

    estate: Estate
    home: Path
    supervisor: Supervisor
    hook: Hook

    def declare(self, **attributes: Any) -> None:
        receivers = {"webhook": [{"name": "hook", "url": "{{ env('ALERT_HOOK') }}"}], **attributes}
        file = self.estate.root / "dagster_defs" / "defs" / "alerts" / "defs.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump({"type": "dagster_defs.components.Alerts", "attributes": receivers}))

    def look(self) -> tuple[int, dict[str, Any]]:
        """The exit code, and the JSON on stdout."""
        done = self.estate.parity("watch", "--json", DAGSTER_HOME=str(self.home), ALERT_HOOK=self.hook.url)
        return done.returncode, json.loads(done.stdout or "{}") | {"said": done.stderr}

    def start_daemon(self) -> Child:
        """A daemon that gives signs of life, for the first time since it started."""
        began = time.time()
        workspace = self.home / "workspace.yaml"
        workspace.write_text("load_from: []\n")
        daemon = self.supervisor.start(
            f"daemon-{len(self.supervisor.children)}",
            [str(BIN / "dagster-daemon"), "run", "-w", str(workspace)],
            env={**self.estate.environment, "DAGSTER_HOME": str(self.home)},
        )
        until = time.monotonic() + 120
        while not self._beats_since(began):
            daemon.check_alive()
            assert time.monotonic() < until
            time.sleep(0.2)
        return daemon

    def _beats_since(self, began: float) -> bool:
        with instance_at(self.home) as instance:
            beats = instance.get_daemon_heartbeats()
            return {*instance.get_required_daemon_types()} <= {*beats} and all(
                beat.timestamp > began for beat in beats.values()
            )

    def wait_until_silent(self) -> None:
        until = time.monotonic() + 60
        while time.time() - self._newest() <= SILENT_AFTER:
            assert time.monotonic() < until
            time.sleep(0.2)

    def _newest(self) -> float:
        with instance_at(self.home) as instance:
            return max(beat.timestamp for beat in instance.get_daemon_heartbeats().values())


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    home, root = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    root.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with instance_at(home) as instance, Supervisor(tmp_path) as supervisor, web_hook() as hook:
        yield Watched(Estate(copy_project(root), instance), home, supervisor, hook)


def test_a_daemon_that_is_stopped_is_an_alert(watched: Watched) -> None:
    """While it lives nobody is told; once it is killed the command exits 1 and tells, once for each silence."""
    watched.declare(silent_after=60)
    daemon = watched.start_daemon()
    assert watched.look() == (0, {"well": True, "alerts": [], "sent": [], "troubles": [], "said": ""})
    assert watched.hook.got == []

    os.kill(daemon.process.pid, signal.SIGKILL)
    daemon.process.wait(30)
    watched.supervisor.release(daemon)
    watched.declare(silent_after=SILENT_AFTER)
    watched.wait_until_silent()
    code, report = watched.look()

    assert (code, report["well"]) == (1, False)
    assert report["sent"] == ["Dagster: the daemon is silent: hook was told"]
    [told] = watched.hook.documents
    assert told["cause"] == "daemon"
    assert "gave its last sign of life at" in told["reason"]
    assert told["todo"] == [
        "start dagster-daemon again; windows that are over are then started one after the other"
    ]

    assert watched.look()[0] == 1
    assert len(watched.hook.got) == 1

    watched.declare(silent_after=60)
    watched.start_daemon()
    assert watched.look()[0] == 0


def test_a_window_that_nothing_starts_is_an_alert(watched: Watched) -> None:
    """A retired DAG without a daemon: one alert says since when its windows stand still, and that nobody ticks."""
    for unit in ZONES:
        bring_to(watched.estate.root / "proxied_state", unit, Stage.RETIRED)
    watched.declare(routes=[{"receivers": ["hook"], "causes": ["not_started"], "dags": ["taxi_daily"]}])

    code, report = watched.look()

    assert code == 1
    assert [each["cause"] for each in report["alerts"]] == ["daemon", "not_started"]
    [told] = watched.hook.documents
    assert (told["dag"], told["task"], told["owner"]) == ("taxi_daily", "", "dagster")
    assert told["owners"] == ["team:data-platform"]
    assert "windows have not started, the first for" in told["reason"]
    assert "Dagster's daemon has never given a sign of life here." in told["reason"]
    assert "parity windows taxi_daily" in told["todo"]
    assert watched.look()[0] == 1
    assert len(watched.hook.got) == 1


def test_a_storage_that_does_not_answer_is_an_alert(watched: Watched) -> None:
    """If Dagster's own database cannot be read, that is what everybody is told."""
    watched.declare()
    (watched.home / "dagster.yaml").write_text(
        "storage: {postgres: {postgres_url: 'postgresql://nobody:x@127.0.0.1:1/none'}}\n"
    )

    code, report = watched.look()

    assert code == 1
    [told] = watched.hook.documents
    assert "Dagster cannot be looked at" in told["reason"]
    assert report["alerts"][0]["identity"] == "daemon unreadable"


def test_without_receivers_it_says_so(watched: Watched) -> None:
    """An estate without an Alerts component is a usage error, not silence."""
    code, report = watched.look()

    assert code == 2
    assert "nobody would be told: no YAML in defs/ declares receivers" in report["said"]


def test_a_receiver_that_is_down_is_an_error_too(watched: Watched) -> None:
    """What could not be told is on stdout and in the exit code, so that cron or Kubernetes tells it."""
    watched.declare()
    watched.hook.answers = [500]

    code, report = watched.look()

    assert code == 1
    assert report["troubles"] == ["hook was not reached, 1 alert waits: it answered 500"]
