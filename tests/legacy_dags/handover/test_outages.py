"""The proxy and a Dagster that is away, answers with something else, or loses its answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from dagster_defs.adapters.processes.supervisor import free_port
from tests.legacy_dags.handover.conftest import InAirflow, StartInAirflow
from tests.support.fake_dagster import Job
from tests.support.unruly_dagsters import BAD_GATEWAY, LOGIN, Fault, KnownRun, UnrulyDagster

pytestmark = pytest.mark.airflow

JOB = Job("taxi_daily__dbt_daily", {"parity/timezone": "America/New_York", "parity/key_format": "%Y-%m-%d"})
CASE: dict[str, Any] = {
    "dag_id": "taxi_daily",
    "task_id": "dbt_daily",
    "start": "2024-03-09T11:00:00+00:00",
    "end": "2024-03-10T10:00:00+00:00",
    "patience": 60,
}

Proxied = Callable[..., Any]


@pytest.fixture
def dagster_server(dagster_server: UnrulyDagster) -> UnrulyDagster:
    dagster_server.jobs = [JOB]
    return dagster_server


@pytest.fixture
def proxied(in_airflow: InAirflow, dagster_server: UnrulyDagster) -> Proxied:
    """The error of one proxied task, or None; `faults` are met on the way."""

    def run(*faults: Fault, **changes: Any) -> str | None:
        dagster_server.faults.planned = list(faults)
        document = {"url": dagster_server.url, "cases": [{**CASE, **changes}]}
        [outcome] = in_airflow("run_proxy.py", document)
        error: str | None = outcome["error"]
        return error

    return run


def test_an_outage_on_the_way_is_lived_through(proxied: Proxied, dagster_server: UnrulyDagster) -> None:
    """Connections that are closed, gateways without a server behind and errors delay a task; they do not fail it."""
    away = (
        Fault("Locations"),
        Fault("JobTags", BAD_GATEWAY),
        Fault("RunsOfTag", (500, {"data": None, "errors": [{"message": "the database is gone"}]})),
        Fault("RunStatus", BAD_GATEWAY),
    )

    assert proxied(*away) is None
    assert dagster_server.faults.met == len(away)
    assert len(dagster_server.launches) == 1


def test_a_run_is_waited_for_behind_a_login_page(proxied: Proxied, dagster_server: UnrulyDagster) -> None:
    """While a run lives, a login page or a closed door is an outage too: to give up would not end the run."""
    assert proxied(Fault("RunStatus", LOGIN), Fault("RunStatus", (401, "sign in"))) is None
    assert dagster_server.faults.met == 2
    assert len(dagster_server.launches) == 1


def test_a_lost_answer_launches_once(proxied: Proxied, dagster_server: UnrulyDagster) -> None:
    """A launch that arrived, and whose answer did not, is found again by its id."""
    assert proxied(Fault("mutation Launch", arrives=True)) is None
    assert len(dagster_server.launches) == 1


def test_a_lost_launch_is_repeated(proxied: Proxied, dagster_server: UnrulyDagster) -> None:
    """A launch that never arrived is repeated with the same id, once Dagster has said that it knows no such run."""
    assert proxied(Fault("mutation Launch", BAD_GATEWAY), patience=8) is None
    [launched] = dagster_server.launches
    assert launched.tags["parity/launch_id"]


def test_the_bound_is_kept(proxied: Proxied) -> None:
    """An outage longer than the bound fails the task with the outage's reason and both times."""
    said = proxied(Fault("Locations", BAD_GATEWAY, times=99), patience=2)

    assert "answered 502 with nothing that is JSON: <html>Bad gateway</html>" in said
    assert "the bound is 2 s" in said


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            LOGIN,
            "answered 200 with something that is not JSON (a login page?): <!doctype html><title>Sign in",
        ),
        ((302, ""), "answered 302 and redirects to nowhere: a login, or a wrong address"),
        ((403, "<h1>Forbidden</h1>"), "does not let this proxy in (403): <h1>Forbidden</h1>"),
        ((404, "not here"), "answered 404 with something that is not JSON (a login page?): not here"),
        ((200, ["surprise"]), "answered 200: ['surprise']"),
        ((400, {"errors": [{"message": "no such field"}]}), "answered 400: [{'message': 'no such field'}]"),
    ],
)
def test_what_does_not_pass_fails_at_once(
    proxied: Proxied, dagster_server: UnrulyDagster, answer: tuple[int, Any], message: str
) -> None:
    """Before anything is launched, what waiting does not mend fails the task with what was really answered."""
    assert message in proxied(Fault("Locations", answer), patience=3600)
    assert dagster_server.launches == []


def test_a_location_that_is_replaced_is_waited_for(proxied: Proxied, dagster_server: UnrulyDagster) -> None:
    """While no loaded code location has the job and one is not loaded, it may be that one's."""
    dagster_server.not_loaded = ["ImportError: half deployed"]

    assert proxied() is None
    assert len(dagster_server.launches) == 1


def test_a_location_that_stays_broken_is_named(proxied: Proxied, dagster_server: UnrulyDagster) -> None:
    """The reason why the location does not load is the reason why the task fails."""
    dagster_server.not_loaded = ["ImportError: half deployed"] * 9

    said = proxied(patience=2)

    assert (
        "has the job taxi_daily__dbt_daily: parity is not loaded (PythonError: ImportError: half deployed)"
        in said
    )


@pytest.mark.parametrize(
    ("ends_as", "policies"),
    [
        ("CANCELED", ["SAFE_TERMINATE"]),
        (None, ["SAFE_TERMINATE", "MARK_AS_CANCELED_IMMEDIATELY"]),
        ("CANCELING", ["SAFE_TERMINATE"]),
    ],
)
def test_a_killed_task_ends_only_its_live_run(
    proxied: Proxied, dagster_server: UnrulyDagster, ends_as: str | None, policies: list[str]
) -> None:
    """A run is asked to end, and marked as ended only if Dagster cannot end it; one that is ending is left to it."""
    who = {"parity/airflow_task_instance": f"taxi_daily.dbt_daily scheduled__{CASE['start']}"}
    dagster_server.runs = [
        KnownRun("over", "FAILURE", who),
        KnownRun("live", "STARTED", who),
        KnownRun("another's", "STARTED", {"parity/airflow_task_instance": "other"}),
    ]
    dagster_server.ends_as = ends_as

    assert proxied(kill=True) is None
    assert dagster_server.terminations == [("live", policy) for policy in policies]


def test_a_task_that_is_killed_while_it_launches(proxied: Proxied, dagster_server: UnrulyDagster) -> None:
    """A run that Dagster does not know yet when its task is killed is ended as soon as it does."""
    who = {"parity/airflow_task_instance": f"taxi_daily.dbt_daily scheduled__{CASE['start']}"}
    dagster_server.runs = [KnownRun("late", "STARTING", who)]
    none = (200, {"data": {"runsOrError": {"__typename": "Runs", "results": []}}})

    assert proxied(Fault("RunsOfTag", none), kill=True, launching=True) is None
    assert dagster_server.terminations == [("late", "SAFE_TERMINATE")]


def test_a_password_in_the_address_stays_out_of_messages(
    in_airflow: InAirflow, dagster_server: UnrulyDagster
) -> None:
    """DAGSTER_URL may carry a login: it is sent, and no message or log has it."""
    host = dagster_server.url.removeprefix("http://")
    dagster_server.jobs = []

    [outcome] = in_airflow("run_proxy.py", {"url": f"http://airflow:s3cret@{host}", "cases": [CASE]})

    assert f"no code location of Dagster at http://{host} has the job" in outcome["error"]
    assert "s3cret" not in outcome["error"]
    assert dagster_server.headers["Authorization"] == "Basic YWlyZmxvdzpzM2NyZXQ="


def test_a_dagster_that_comes_up_late_is_reached(start_in_airflow: StartInAirflow) -> None:
    """A task that starts while nobody listens at the address waits, and runs when somebody does."""
    port = free_port()
    started = start_in_airflow("run_proxy.py", {"url": f"http://127.0.0.1:{port}", "cases": [CASE]})
    started.wait_for("Dagster does not answer at")

    with UnrulyDagster(port) as server:
        server.jobs = [JOB]
        assert started.answer() == [{"error": None}]
        assert len(server.launches) == 1


def test_the_connection_says_how_to_get_in(in_airflow: InAirflow, dagster_server: UnrulyDagster) -> None:
    """Address, password and headers come from the Airflow connection, which goes before DAGSTER_URL."""
    host, port = dagster_server.url.removeprefix("http://").split(":")
    connection = {
        "conn_type": "http", "host": host, "port": int(port), "login": "airflow", "password": "s3cret",
        "extra": {"headers": {"X-Team": "data"}, "verify": "false", "timeout": 10},
    }  # fmt: skip

    [outcome] = in_airflow(
        "run_proxy.py",
        {"url": "http://127.0.0.1:1", "cases": [CASE]},
        AIRFLOW_CONN_DAGSTER_DEFAULT=json.dumps(connection),
    )

    assert outcome["error"] is None
    assert dagster_server.headers["X-Team"] == "data"
    assert dagster_server.headers["Authorization"] == "Basic YWlyZmxvdzpzM2NyZXQ="


def test_a_wrong_extra_is_named(in_airflow: InAirflow) -> None:
    """An extra that cannot be used fails the task with the connection's and the field's name."""
    connection = {"conn_type": "http", "host": "h", "extra": {"patience": "long"}}

    [outcome] = in_airflow(
        "run_proxy.py",
        {"url": "", "cases": [{**CASE, "patience": None}]},
        AIRFLOW_CONN_DAGSTER_DEFAULT=json.dumps(connection),
    )

    assert "connection dagster_default: extra 'patience' cannot be 'long'" in outcome["error"]


def test_a_certificate_that_nobody_vouches_for_fails_at_once(
    in_airflow: InAirflow, dagster_server: UnrulyDagster
) -> None:
    """A CA file that is not there is told, and not waited for."""
    connection = {"conn_type": "http", "host": "https://127.0.0.1:1", "extra": {"verify": "/no/such/ca.pem"}}

    began = time.monotonic()
    [outcome] = in_airflow(
        "run_proxy.py", {"url": "", "cases": [CASE]}, AIRFLOW_CONN_DAGSTER_DEFAULT=json.dumps(connection)
    )

    assert "Dagster cannot be asked at https://127.0.0.1:1" in outcome["error"]
    assert "/no/such/ca.pem" in outcome["error"]
    assert time.monotonic() - began < CASE["patience"]
