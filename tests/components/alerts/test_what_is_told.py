"""Each kind of fact that is told: what kills a run, Airflow's own addresses, waits, verdicts and rollbacks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import dagster as dg
import pendulum
import pytest

from dagster_defs.adapters.dagster.evidence import evidence_metadata
from dagster_defs.components.units.unit import UnitComponent
from dagster_defs.lifecycle import Stage, Unit, tags
from dagster_defs.lifecycle.ledger import BY_ITSELF, Entry, Kind
from dagster_defs.lifecycle.receivers import Alerting, Webhook
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.started import Place
from dagster_defs.lifecycle.verdicts import WindowCheck
from dagster_defs.lifecycle.waits import Progress, Waiting
from dagster_defs.parity import Check, Verdict
from dagster_defs.settings import Settings
from dagster_defs.usecases.alerts.absences import Absences
from dagster_defs.usecases.alerts.watched import Watched
from dagster_defs.windows import Window
from tests.components.alerts.conftest import DAY, UNIT, Alerted
from tests.components.alerts.test_alert_sensor import mail_of
from tests.components.conftest import NEW_YORK_DAYS
from tests.support.owned import entries_to
from tests.support.receivers import Hook, Mailbox


@pytest.fixture
def hooked(alerted: Alerted, hook: Hook) -> Alerted:
    """One webhook, which gets everything that is loud but what has to do with windows that nobody starts here."""
    causes = ["failure", "late", "mismatch", "rolled_back", "stuck_wait"]
    alerted.receivers = {
        "webhook": [{"name": "hook", "url": hook.url}],
        "routes": [{"receivers": ["hook"], "causes": causes}],
    }
    return alerted


def test_a_killed_process_is_a_failure(hooked: Alerted, hook: Hook) -> None:
    """The process of a run dies in the middle, and Dagster's monitoring marks the run: who is told learns that nobody
    knows how far it came."""
    hooked.declare("is_killed")
    hooked.tick()
    child = os.fork()
    if child == 0:
        hooked.run()
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 9
    [run] = hooked.instance.get_runs()
    assert run.status is dg.DagsterRunStatus.STARTED
    assert hooked.tick() == "nothing to tell"

    hooked.instance.report_run_failed(run, "Detected run worker status FAILED: 'exit code 9'")
    assert hooked.tick() == "own.python 2024-03-09 failed: hook was told"

    [told] = hook.documents
    assert (told["dag"], told["task"], told["partition"], told["run_id"]) == (
        "own",
        "python",
        DAY[0],
        run.run_id,
    )
    assert told["reason"] == (
        "its process ended before the task did, and nobody knows how far it came. "
        "Detected run worker status FAILED: 'exit code 9'"
    )


def test_the_callback_of_a_killed_process_is_called(hooked: Alerted, hook: Hook) -> None:
    """`on_failure`, which the killed process would have called, is called by the sensor, once, with Airflow's names."""
    hooked.declare("is_killed", on_failure=f"{hooked.module}.tell")
    hooked.tick()
    child = os.fork()
    if child == 0:
        hooked.run()
        os._exit(1)
    os.waitpid(child, 0)
    [run] = hooked.instance.get_runs()
    hooked.instance.report_run_failed(run, "its worker is gone")

    said = hooked.tick()

    assert f"own.python 2024-03-09 failed: on_failure {hooked.module}.tell was told" in said
    hooked.tick()
    told = (hooked.project.estate.root / "alert_code" / "told").read_text().splitlines()
    assert told == [
        "own.python 2024-03-09T11:00:00+00:00 2024-03-10T10:00:00+00:00 "
        f"http://dagster.example:3000/runs/{run.run_id}"
    ]


def test_airflows_addresses_get_failures_and_retries(alerted: Alerted, mailbox: Mailbox) -> None:
    """`email` of a task gets a mail of the try that another follows, and one of the last, whatever routes say."""
    alerted.receivers = {"email": [mail_of(mailbox, to=[])]}
    alerted.declare("fails", retries=1, retry_delay=0, email=["ada@example.com", "bob@example.com"])
    alerted.tick()
    alerted.run()

    alerted.tick()

    assert mailbox.subjects == [
        "[parity] own.python 2024-03-09 failed and is tried again",
        "[parity] own.python 2024-03-09 failed",
    ]
    assert {mail["To"] for mail in mailbox.mails} == {"ada@example.com, bob@example.com"}
    assert [
        "Try: 1 of 2" in mailbox.mails[0].get_content(),
        "Try: 2 of 2" in mailbox.mails[1].get_content(),
    ] == [
        True,
        True,
    ]


def test_airflows_addresses_are_spared_what_they_did_not_get(alerted: Alerted, mailbox: Mailbox) -> None:
    """Without `email_on_retry` only the last failure is a mail."""
    alerted.receivers = {"email": [mail_of(mailbox, to=[])]}
    alerted.declare("fails", retries=1, retry_delay=0, email=["ada@example.com"], email_on=["failure"])
    alerted.tick()
    alerted.run()

    alerted.tick()

    assert mailbox.subjects == ["[parity] own.python 2024-03-09 failed"]


def test_a_success_is_told_to_who_asks_for_it(alerted: Alerted, hook: Hook) -> None:
    """A route with the cause `success` gets one, and one without does not."""
    alerted.receivers = {
        "webhook": [{"name": "hook", "url": hook.url}, {"name": "loud", "url": hook.url}],
        "routes": [
            {"receivers": ["hook"], "causes": ["success", "execute"]},
            {"receivers": ["loud"], "causes": ["failure"]},
        ],
    }
    alerted.declare("works")
    alerted.tick()
    alerted.run()

    alerted.tick()

    assert [each["cause"] for each in hook.documents] == ["execute", "success"]


def test_a_mail_server_lets_in_who_logs_in(alerted: Alerted, mailbox: Mailbox) -> None:
    """User and password reach the server."""
    alerted.receivers = {"email": [mail_of(mailbox, user="parity", password="s3cret")]}  # noqa: S106 - of the test
    alerted.declare("fails")
    alerted.tick()
    alerted.run()
    alerted.tick()

    assert mailbox.logins == [("parity", "s3cret")]
    assert "[parity] own.python 2024-03-09 failed" in mailbox.subjects


def test_a_mail_that_is_refused_for_now_waits(alerted: Alerted, mailbox: Mailbox) -> None:
    """A 451 is tried again by a later look; a 550 is not."""
    alerted.receivers = {
        "email": [mail_of(mailbox)],
        "routes": [{"receivers": ["mail"], "causes": ["failure"]}],
    }
    mailbox.refuses = "451 greylisted"
    alerted.declare("fails")
    alerted.tick()
    alerted.run()

    assert "mail was not reached, 1 alert waits: 451 greylisted" in alerted.tick()


def test_a_mismatch_is_told_of(hooked: Alerted, hook: Hook) -> None:
    """A candidate run whose comparison ends with a mismatch is told of with its reason; a match is not."""
    hooked.declare("works")
    hooked.tick()
    key = dg.AssetKey(["shadow", "thing"])

    def compared(verdict: Verdict, reason: str) -> None:
        @dg.asset(key=key)
        def made() -> None:
            pass

        @dg.asset_check(asset=key, name="parity")
        def parity() -> dg.AssetCheckResult:
            checked = WindowCheck(UNIT, DAY[0], Check("thing", verdict, reason))
            at = datetime(2024, 3, 9, 11, tzinfo=timezone.utc)
            window = Window(pendulum.instance(at), pendulum.instance(at + timedelta(hours=23)))
            metadata = evidence_metadata(checked, window, airflow_run="", dbt_tests="")
            return dg.AssetCheckResult(passed=verdict is Verdict.MATCH, metadata=metadata)

        job = dg.define_asset_job("compare", selection=[key])
        definitions = dg.Definitions(assets=[made], asset_checks=[parity], jobs=[job])
        said = {tags.SIDE: "candidate", tags.UNIT: str(UNIT)}
        definitions.resolve_job_def("compare").execute_in_process(instance=hooked.instance, tags=said)

    compared(Verdict.MATCH, "all rows match")
    assert hooked.tick() == "nothing to tell"
    compared(Verdict.MISMATCH, "2 rows differ in total_amount")
    assert hooked.tick() == "own.python does not match: hook was told"

    [told] = hook.documents
    assert (told["cause"], told["reason"]) == ("mismatch", "thing: 2 rows differ in total_amount")
    assert told["todo"][0] == "parity explain own.python"


def test_an_automatic_rollback_is_told_of(hooked: Alerted, hook: Hook) -> None:
    """A rollback that the sensor of the soak has made is told of, with its reason; one that a person made is not."""
    hooked.declare("works")
    hooked.tick()
    soon = datetime.now(timezone.utc) + timedelta(minutes=1)
    file = hooked.project.estate.root / "owned" / "ledger.jsonl"
    other = Unit("own", "other")

    def roll_back(unit: Unit, operator: str) -> None:
        intent = Entry(
            f"r-{unit}",
            soon,
            operator,
            unit,
            Move.ROLLBACK,
            Kind.INTENDED,
            Stage.CUT_OVER,
            "Dagster run 1 failed",
        )
        entries = [*entries_to(unit, Stage.CUT_OVER), intent, replace(intent, kind=Kind.DONE, reason="")]
        with file.open("a") as ledger:
            ledger.writelines(f"{json.dumps(entry.as_json())}\n" for entry in entries)

    roll_back(other, f"daemon{BY_ITSELF}")
    roll_back(Unit("own", "third"), "ada@ops")

    assert hooked.tick() == "own.other was rolled back by itself: hook was told"
    [told] = hook.documents
    assert told["reason"] == "Dagster run 1 failed"
    assert hooked.tick() == "nothing to tell"


@contextmanager
def absences_of(alerted: Alerted, places: Mapping[str, Place] | None = None) -> Iterator[Absences]:
    """What a look of the sensor asks for what has not happened."""
    with alerted.project.estate.entered():
        tree = alerted.project.estate.definitions.component_tree
        assert tree is not None
        settings = Settings.from_process(alerted.project.estate.root)
        watched = Watched.of(settings, tree.get_all_components(of_type=UnitComponent))
        alerting = Alerting((Webhook("hook", "http://127.0.0.1:1"),), stuck_after=3600)
        yield Absences(alerted.instance, watched, alerting, places or {})


def test_a_wait_that_lasts_is_told_of(hooked: Alerted) -> None:
    """A window of a retired DAG that has waited for another DAG for longer than `stuck_after` is told of, with what
    it waits for."""
    now = datetime(2024, 3, 10, 12, tzinfo=timezone.utc)
    begun = datetime(2024, 3, 10, 10, tzinfo=timezone.utc)
    schedule = {**NEW_YORK_DAYS, "waits_for": [{"sensor": "for_trips", "dag": "trips", "tasks": ["load"]}]}
    hooked.declare("works", schedule=schedule)
    progress = replace(Progress.begun(begun), why="trips.load of 2024-03-09 10:00 UTC is not written")
    waiting = Waiting(datetime(2024, 3, 9, 11, tzinfo=timezone.utc), {"for_trips": progress})
    with absences_of(hooked, {"own": Place(waiting=(waiting,))}) as absences:
        [alert] = absences.stuck(now)
        assert list(absences.stuck(begun + timedelta(minutes=59))) == []

    assert (alert.dag, alert.task, alert.partition) == ("own", "for_trips", "2024-03-09")
    assert "trips.load of 2024-03-09 10:00 UTC is not written" in alert.reason
    assert alert.todo == ("parity windows own", "parity windows trips")


def test_late_data_is_told_of_once(hooked: Alerted) -> None:
    """Airflow's `sla`: a window that has not succeeded so long after its end is late, if that moment lies between two
    looks; one that has succeeded is not."""
    hooked.declare("works", sla=3600)
    hooked.run()
    end = datetime(2024, 3, 11, 10, tzinfo=timezone.utc)
    with absences_of(hooked) as absences, pytest.MonkeyPatch.context() as monkeypatch:
        # The newest windows are looked at; these lie in the past.
        monkeypatch.setattr("dagster_defs.usecases.alerts.absences.LOOKED_BACK", timedelta(days=3650))
        at = timedelta(hours=1)

        def late(until: datetime) -> list[str]:
            return [alert.partition for alert in absences.late(until - timedelta(minutes=1), until)]

        assert late(end + at) == ["2024-03-10"]
        assert late(end + at + timedelta(minutes=1)) == []
        assert late(end - timedelta(days=1) + at) == []
        [alert] = absences.late(end, end + at)
    assert alert.reason == "It was due at 2024-03-11 11:00 UTC and has not succeeded."
