"""Each facet of a mirror beside its record in the inventory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from dagster_defs.adapters.dagster.partitions import DagsterCrons, partitioned
from dagster_defs.inventory import Convention, Invocation, Kind, NamedWindow, Selection, UnitReading
from dagster_defs.inventory.document import Dag, Email, Schedule, Task
from dagster_defs.inventory.records import RenderedCall
from dagster_defs.inventory.team import LegacyDbt, Team
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.alerts import Cause
from dagster_defs.lifecycle.facets import (
    Agreement,
    Facet,
    LegacyUnit,
    MirroredUnit,
    UnitFacets,
    facets_of,
    not_in_inventory,
)
from dagster_defs.lifecycle.mail_of_tasks import TaskMail
from dagster_defs.lifecycle.mirrors import Declared
from dagster_defs.lifecycle.runtime_facet import Runtime
from dagster_defs.lifecycle.settings import FACETS
from dagster_defs.older_python import datetime_of
from dagster_defs.windows import Moment, OccasionKind, Window
from dagster_defs.windows import Schedule as Cron

ZONE = "America/New_York"
SPAN = ("2024-03-08", "2024-03-11")  # the clocks go forward on the 10th
WINDOWS = (
    ("2024-03-08T11:00:00+00:00", "2024-03-09T11:00:00+00:00"),
    ("2024-03-09T11:00:00+00:00", "2024-03-10T10:00:00+00:00"),
    ("2024-03-10T10:00:00+00:00", "2024-03-11T10:00:00+00:00"),
    ("2024-03-11T10:00:00+00:00", "2024-03-12T10:00:00+00:00"),
)
LEGACY_DBT = LegacyDbt(version="1.11.16")
RUNTIME = Runtime("1.11.16", "duckdb 1.11.1", ("dbt_utils@1.3.0",), "0123456789abcdef")
NODES = frozenset({"model.taxi.daily", "test.taxi.daily_unique"})


@dataclass(frozen=True)
class Days:
    """Variables that are the dates of a window's bounds."""

    names: tuple[str, ...] = ("min_date", "max_date")
    shift: int = 0

    def for_window(self, window: Moment) -> dict[str, str]:
        assert isinstance(window, Window)
        moments = (window.start, window.end)
        return {
            name: moment.add(days=self.shift).to_date_string()
            for name, moment in zip(self.names, moments, strict=False)
        }


# The same cron after an upgrade to Airflow 3, and as a timetable of partition keys.
TICKS = Schedule("0 6 * * *", "cron-trigger", "0 6 * * *", ZONE, True, occasion=OccasionKind.TICK)
KEYS = Schedule("0 6 * * *", "cron-partition", "0 6 * * *", ZONE, False, occasion=OccasionKind.PARTITION)


@dataclass(frozen=True)
class Case:
    """A unit that agrees in all, and what a test changes of it."""

    task: dict[str, Any] = field(default_factory=dict)
    declared: dict[str, Any] = field(default_factory=dict)
    dag: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)
    cron: str = "0 6 * * *"
    start: str = "2024-01-01"
    upstream: frozenset[Unit] = frozenset()
    others: tuple[Task, ...] = ()
    dbt: LegacyDbt | None = LEGACY_DBT
    runtime: Runtime = RUNTIME

    def facets(self) -> dict[str, Facet]:
        own = Task("taxi", "daily", ("BashOperator",), {}, team=Team(dbt=self.dbt))
        task = replace(own, **self.task)
        schedule = Schedule("0 6 * * *", "cron", "0 6 * * *", ZONE, False)
        dag = replace(Dag("taxi", schedule, ZONE, (task, *self.others), windows=WINDOWS), **self.dag)
        rendered = tuple(
            RenderedCall(start, end, Days().for_window(Window.between(start, end)), {}, None)
            for start, end in WINDOWS
        )
        call = replace(
            Invocation(Selection("build"), False, None, {}, {}, None, rendered, True, tuple(sorted(NODES))),
            **self.call,
        )
        window = NamedWindow(Convention.HALF_OPEN)
        reading = UnitReading("taxi", "daily", (Kind.BUILD,), window=window, invocations=(call,))
        declared = replace(
            Declared("build", NODES, Days(), None, frozenset(), frozenset({"daily"}), 0, 30, None),
            **self.declared,
        )
        unit = Unit("taxi", "daily")
        mirrored = frozenset({unit, *(Unit("taxi", other.task_id) for other in self.others)})
        partitions = partitioned(Cron.of(self.cron, ZONE, self.start))
        mirror = MirroredUnit(unit, partitions, declared, self.upstream, mirrored, runtime=self.runtime)
        return {facet.name: facet for facet in facets_of(LegacyUnit(dag, task, reading, SPAN), mirror)}


def other(task_id: str, *upstream: str) -> Task:
    return Task("taxi", task_id, ("BashOperator",), {}, upstream=upstream)


def test_a_faithful_mirror_agrees_in_all() -> None:
    """Every facet agrees, windows and variables in every window of the span."""
    facets = Case().facets()

    assert {name: facet.agrees for name, facet in facets.items()} == dict.fromkeys(FACETS, Agreement.AGREES)
    assert (facets["windows"].compared, facets["variables"].compared) == (4, 4)


@pytest.mark.parametrize(
    ("case", "name", "message"),
    [
        pytest.param(Case(cron="0 7 * * *"), "windows", "exist only in Airflow", id="another hour"),
        pytest.param(Case(start="2024-03-10"), "windows", "2 windows exist only in Airflow", id="begins later"),
        pytest.param(Case(dag={"end": "2024-03-09T11:00:00+00:00", "windows": WINDOWS[:1]}), "windows",
                     "1 exist only in the mirror", id="Airflow lacks a window"),
        pytest.param(Case(dag={"windows": ((WINDOWS[0][0], WINDOWS[0][0]),)}), "windows", "empty", id="empty"),
        pytest.param(Case(dag={"windows": ((WINDOWS[0][0], WINDOWS[0][0]),), "schedule": TICKS}), "windows",
                     "about ticks without a length, the mirror's about windows: what was proved", id="ticks"),
        pytest.param(Case(dag={"windows": (), "schedule": KEYS}), "windows", "about partition keys", id="keys"),
        pytest.param(Case(dag={"windows": (), "schedule": Schedule("None", "none", None, ZONE, True)}), "windows",
                     "no window", id="no schedule"),
        pytest.param(Case(declared={"variables": Days(shift=1)}), "variables", "max_date of", id="another day"),
        pytest.param(Case(declared={"variables": Days(("min_date",))}), "variables", "max_date of", id="one less"),
        pytest.param(Case(declared={"nodes": NODES | {"model.taxi.more"}}), "selection",
                     "only in the mirror: model.taxi.more", id="a model more"),
        pytest.param(Case(declared={"nodes": frozenset({"model.taxi.daily"})}), "selection",
                     "only in Airflow: test.taxi.daily_unique", id="a test less"),
        pytest.param(Case(call={"full_refresh": True}), "selection", "--full-refresh", id="a full refresh"),
        pytest.param(Case(others=(other("export", "daily"),), upstream=frozenset({Unit("taxi", "export")})),
                     "ordering", "export after it", id="lineage contradicts the order"),
        pytest.param(Case(task={"retries": 2, "retry_delay": 30.0}, declared={"retries": 3}), "retries", "",
                     id="other retries"),
        pytest.param(Case(task={"retries": 2, "retry_delay": 30.0}), "retries", "", id="no retries"),
        pytest.param(Case(task={"retries": 2, "retry_delay": 60.0}, declared={"retries": 2}), "retries", "",
                     id="another delay"),
        pytest.param(Case(task={"pool": "warehouse"}), "pool", "", id="no pool"),
        pytest.param(Case(task={"timeout": 600.0}), "timeout", "", id="no time-out"),
        pytest.param(Case(declared={"timeout": 600}), "timeout", "", id="a time-out of its own"),
        pytest.param(Case(task={"sla": 600.0}, declared={"sla": 60}), "sla", "", id="another SLA"),
        pytest.param(Case(dag={"catchup": False}), "catchup", "", id="nothing is caught up"),
        pytest.param(Case(dag={"max_active_runs": 1}), "max_active_runs", "", id="one run at a time"),
        pytest.param(Case(task={"depends_on_past": True}), "depends_on_past", "", id="in any order"),
        pytest.param(Case(task={"callbacks": {"on_failure_callback": ("alerts.page",)}}), "callbacks",
                     "on_failure: alerts.page", id="nobody is told"),
        pytest.param(Case(task={"email": Email(("ada@example.com",))}), "callbacks",
                     "Airflow sends mail to ada@example.com on failure and retry, the mirror no mail", id="no mail"),
        pytest.param(Case(task={"email": Email()}, declared={"mail": TaskMail(("ada@example.com",))}), "callbacks",
                     "Airflow sends no mail, the mirror mail to ada@example.com", id="a mail of its own"),
        pytest.param(Case(task={"email": Email(("ada@example.com",), on_retry=False)},
                          declared={"mail": TaskMail(("ada@example.com",))}), "callbacks",
                     "on failure, the mirror mail to ada@example.com on failure and retry", id="more mails"),
        pytest.param(Case(declared={"calls": {"on_retry": ["alerts.note"]}}), "callbacks",
                     "Airflow does not call alerts.note", id="a retry callback of its own"),
        pytest.param(Case(declared={"calls": {"on_failure": ["alerts.page"]}}), "callbacks",
                     "Airflow does not call alerts.page", id="somebody is told who was not"),
        pytest.param(Case(declared={"dag_calls": {"dag_on_success": ["alerts.done"]}}), "callbacks",
                     "Airflow does not call alerts.done", id="a callback of the DAG's that it has not"),
    ],
)  # fmt: skip
def test_one_change_is_one_difference(case: Case, name: str, message: str) -> None:
    """What differs from Airflow is a difference of its own facet, which says what, and of no other."""
    facets = case.facets()

    assert [each for each, facet in facets.items() if facet.agrees is Agreement.DIFFERS] == [name]
    assert message in facets[name].detail


@pytest.mark.parametrize(
    ("case", "name"),
    [
        pytest.param(Case(task={"upstream": ("zones",)}, others=(other("zones"),)), "ordering", id="order"),
        pytest.param(Case(call={"rendered": ()}), "variables", id="nothing rendered"),
        pytest.param(
            Case(
                task={"callbacks": {"on_failure_callback": ("alerts.page",)}},
                declared={"calls": {"on_failure": ["alerts.page_without_airflow"]}},
            ),
            "callbacks",
            id="another function",
        ),
    ],
)
def test_what_cannot_be_told_is_undetermined(case: Case, name: str) -> None:
    """What lineage does not know, or is not in the inventory, neither agrees nor differs, and says why."""
    facet = case.facets()[name]

    assert facet.agrees is Agreement.UNDETERMINED
    assert facet.detail


def test_the_same_limits_agree() -> None:
    """Retries, time-out and SLA of the task agree with a mirror that declares the same, as whole seconds or not."""
    limits = {"retries": 2, "retry_delay": 30.0, "timeout": 600.0, "sla": 3600.0}
    facets = Case(task=limits, declared={**limits, "timeout": 600}).facets()

    assert {facets[name].agrees for name in ("retries", "timeout", "sla")} == {Agreement.AGREES}


def test_the_same_promises_agree() -> None:
    """Catch-up, runs at a time, order of the windows and the failure callback agree with a mirror that has them."""
    case = Case(
        task={"depends_on_past": True, "callbacks": {"on_failure_callback": ("alerts.page",)}},
        dag={"catchup": False, "max_active_runs": 1},
        declared={
            "depends_on_past": True, "calls": {"on_failure": ["alerts.page"]}, "catchup": False, "max_active_runs": 1
        },
    )  # fmt: skip

    found = {facet.name: facet.agrees for facet in case.facets().values()}
    assert found == dict.fromkeys(FACETS, Agreement.AGREES)


@pytest.mark.parametrize(
    ("task", "dag", "message"),
    [
        ({"on_retry_callback": ("alerts.note",)}, {}, "Dagster does not call the task's on_retry_callback alerts.note"),
        ({}, {"sla_miss_callback": ("alerts.late",)}, "Dagster does not call the DAG's sla_miss_callback alerts.late"),
        ({}, {"on_failure_callback": ("alerts.page",)}, "the DAG's on_failure_callback alerts.page"),
        ({"on_failure_callback": ("alerts.page", "alerts.log")}, {}, "the task's on_failure_callback alerts.log"),
    ],
    ids=["of a retry", "of an SLA", "of a DAG", "a second one"],
)  # fmt: skip
def test_a_callback_without_a_place_is_undetermined(
    task: dict[str, tuple[str, ...]], dag: dict[str, tuple[str, ...]], message: str
) -> None:
    """A callback that no mirror can have is named, with what to do, beside a failure callback that agrees."""
    own = {"on_failure_callback": ("alerts.page",), **task}
    case = Case(
        task={"callbacks": own}, dag={"callbacks": dag}, declared={"calls": {"on_failure": ["alerts.page"]}}
    )
    facet = case.facets()["callbacks"]

    assert facet.agrees is Agreement.UNDETERMINED
    assert message in facet.detail
    assert "gates: {undetermined: [callbacks]}" in facet.detail
    assert facet.compared == sum(len(named) for named in (*own.values(), *dag.values()))


def test_mails_and_callbacks_of_every_kind_agree() -> None:
    """The same addresses on the same occasions, and the same functions of the task and its DAG, agree; an inventory
    without mails says nothing about them."""
    kinds = ("failure", "success", "retry", "execute", "skipped")
    told = {f"on_{kind}_callback": (f"alerts.{kind}", "alerts.log") for kind in kinds}
    of_dag = {f"on_{kind}_callback": (f"alerts.dag_{kind}",) for kind in ("failure", "success")}
    mine = {
        "calls": {f"on_{kind}": (f"alerts.{kind}", "alerts.log") for kind in kinds},
        "dag_calls": {f"dag_on_{kind}": (f"alerts.dag_{kind}",) for kind in ("failure", "success")},
    }
    mail = TaskMail(("ada@example.com", "bob@example.com"), frozenset({Cause.FAILURE}))
    theirs = Email(("bob@example.com", "ada@example.com"), on_retry=False)
    case = Case(
        task={"callbacks": told, "email": theirs}, dag={"callbacks": of_dag}, declared={**mine, "mail": mail}
    )

    assert case.facets()["callbacks"].agrees is Agreement.AGREES
    older = replace(case, task={"callbacks": told})
    assert older.facets()["callbacks"].agrees is Agreement.AGREES


def test_an_order_that_lineage_knows_agrees() -> None:
    """A unit that comes after another, and is made from its assets, is in order."""
    case = Case(
        task={"upstream": ("zones",)}, others=(other("zones"),), upstream=frozenset({Unit("taxi", "zones")})
    )

    assert case.facets()["ordering"].agrees is Agreement.AGREES


def test_a_window_in_the_environment_differs() -> None:
    """A variable of the environment that moves with the window is a difference: a mirror has no environment."""
    rendered = tuple(
        RenderedCall(start, end, Days().for_window(Window.between(start, end)), {"DAY": start}, None)
        for start, end in WINDOWS
    )
    facet = Case(call={"rendered": rendered}).facets()["variables"]

    assert facet.agrees is Agreement.DIFFERS
    assert "DAY" in facet.detail


@pytest.mark.parametrize(
    ("dbt", "agrees", "compared", "message"),
    [
        (None, "undetermined", 0, "does not say which dbt the task runs. Say it in parity.yaml, under `dbt`"),
        (LegacyDbt(), "undetermined", 0, "does not say which dbt the task runs"),
        (LegacyDbt(version="1.11.16"), "agrees", 1, "not known of both sides: adapter, packages, commit"),
        (
            LegacyDbt(
                version="1.11.16",
                adapter="duckdb 1.11.1",
                packages={"dbt_utils": "1.3.0"},
                commit="0123456",
            ),
            "agrees",
            4,
            "",
        ),
        (
            LegacyDbt(version="1.8.9"),
            "undetermined",
            1,
            "dbt: dbt 1.8.9 in Airflow, dbt 1.11.16 in the mirror; ",
        ),
        (
            LegacyDbt(adapter="duckdb 1.8.4"),
            "undetermined",
            1,
            "duckdb 1.8.4 in Airflow, duckdb 1.11.1 in the",
        ),
        (LegacyDbt(packages={}), "undetermined", 1, "no packages in Airflow, dbt_utils@1.3.0 in the mirror"),
        (
            LegacyDbt(commit="89abcdef"),
            "undetermined",
            1,
            "accept it in the unit's YAML if the tables match: gates: {undetermined: [runtime]}",
        ),
    ],
)
def test_the_dbt_of_both_sides(dbt: LegacyDbt | None, agrees: str, compared: int, message: str) -> None:
    """What is known of both is compared; what differs is undetermined, because only tables can show what it does."""
    facet = Case(dbt=dbt).facets()["runtime"]

    assert (facet.agrees, facet.compared) == (agrees, compared)
    assert message in facet.detail
    assert facet.mirror == "dbt 1.11.16, duckdb 1.11.1, dbt_utils@1.3.0, commit 0123456789ab"


def test_changes_that_are_not_committed_are_no_commit() -> None:
    """A checkout with changes of its own is at no commit that Airflow could have."""
    facet = Case(
        dbt=LegacyDbt(commit="0123456789abcdef"), runtime=Runtime(commit="0123456789abcdef", changed=True)
    ).facets()["runtime"]
    assert facet.agrees is Agreement.UNDETERMINED
    assert "commit 0123456789ab in Airflow, commit 0123456789ab with changes in the mirror" in facet.detail


def test_a_unit_without_dbt_has_no_runtime_to_compare() -> None:
    """A function's mirror agrees, whatever is known of dbt."""
    case = Case(
        task={"callable_name": "ingest.load"}, declared={"nodes": None, "runs": "ingest.load"}, dbt=None
    )
    assert case.facets()["runtime"].agrees is Agreement.AGREES


def test_the_summary_names_what_differs() -> None:
    """A unit's facets in one cell: all, those that differ by name, those that are undetermined by number."""
    unit = Unit("taxi", "daily")

    def summary(case: Case) -> str:
        return UnitFacets(unit, tuple(case.facets().values())).summary

    assert summary(Case()) == "14/14"
    assert summary(Case(cron="0 7 * * *")) == "13/14 (windows)"
    assert summary(Case(task={"pool": "x"}, call={"rendered": ()})) == "12/14 (pool, 1 undetermined)"
    assert not_in_inventory(unit).summary == "0/1 (task)"


def test_a_dag_of_each_minute_is_compared_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day has 1,440 windows: Dagster's ticks are not walked again for each of them."""
    walks: list[str] = []
    walked = DagsterCrons.boundaries

    def counted(crons: DagsterCrons, cron: str, *arguments: Any, **named: Any) -> Any:
        walks.append(cron)
        return walked(crons, cron, *arguments, **named)

    monkeypatch.setattr(DagsterCrons, "boundaries", counted)
    cron = Cron.of("* * * * *", ZONE, "2024-01-01")
    minutes = tuple(
        (window.start.isoformat(), window.end.isoformat())
        for window in cron.windows(datetime_of("2024-03-08T05:00:00Z"), datetime_of("2024-03-09T05:00:00Z"))
    )
    schedule = Schedule("* * * * *", "cron", "* * * * *", ZONE, False)
    bounds = ("2024-03-08T05:00:00Z", "2024-03-09T05:00:00Z")
    case = Case(cron="* * * * *", dag={"schedule": schedule, "windows": minutes, "span": bounds})

    facet = case.facets()["windows"]

    assert (facet.agrees, facet.compared, facet.detail) == (Agreement.AGREES, 1440, "")
    assert len(walks) < 100
