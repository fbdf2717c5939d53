"""Instants as people and machines read them, in the hour that New York's clocks show twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest
import yaml

from dagster_defs import render
from dagster_defs.adapters.dagster.partitions import DagsterCrons
from dagster_defs.errors import MoveInProgress
from dagster_defs.inventory.document import read_document
from dagster_defs.inventory.scaffold import Place, draft_dag
from dagster_defs.lifecycle import Owner, Stage, Unit
from dagster_defs.lifecycle.fairness import Standing, Write, unfair_reason
from dagster_defs.lifecycle.histories import Shadowed, refuse_overtaken
from dagster_defs.lifecycle.ledger import Begin, Entry, Kind, OpenMove
from dagster_defs.lifecycle.looking import Explanation
from dagster_defs.lifecycle.moves import in_progress
from dagster_defs.lifecycle.report import Report
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.status import Status
from dagster_defs.lifecycle.verdicts import Evidence, WindowCheck
from dagster_defs.lifecycle.written import Wrote
from dagster_defs.parity import Check, Relation, Verdict
from dagster_defs.render.html.report import page
from dagster_defs.windows import PartitionedSchedule, Schedule, Window
from tests.support.inventory_samples import document, report, sampled, task

NEW_YORK = ZoneInfo("America/New_York")
SUMMER, WINTER = (datetime(2024, 11, 3, 1, 30, tzinfo=NEW_YORK, fold=fold) for fold in (0, 1))
UNIT = Unit("shop", "build")
CHECK = WindowCheck(UNIT, "w", Check("orders", Verdict.MISMATCH, "1 row differs"))
# A time of day that neither "UTC" nor an offset follows.
BARE = re.compile(r"\d\d:\d\d(:\d\d)?(\.\d+)?(?!\d|:|\.\d)(?! UTC|Z|[+-]\d\d)")
OFFSET = re.compile(r"[+-]\d\d:?\d\d(?!\d)")

Said = Callable[[datetime, Callable[[], str]], str]


def _entry(at: datetime) -> Entry:
    return Entry(
        "1", at, "ada", UNIT, Move.CUTOVER, Kind.INTENDED, Stage.SHADOWED, "late", ("windows",), (), Begin(at)
    )


def _evidence(at: datetime) -> Evidence:
    return Evidence(CHECK, "w", at, at, "run")


def _refused(at: datetime) -> str:
    history = Shadowed(UNIT, open=OpenMove(_entry(at)))
    with pytest.raises(MoveInProgress) as error:
        refuse_overtaken(history, _entry(at))
    return str(error.value)


def _scaffolded(at: datetime) -> str:
    fields = {"bash_command": "dbt run -s a"}
    content = document(
        task(fields, samples=sampled(fields, "30 * * * *", "America/New_York", days=("2024-03-01",))),
        cron="30 * * * *",
        zone="America/New_York",
    )
    content["dags"][0]["start"] = at.astimezone(timezone.utc).isoformat()
    [dag] = read_document(content, "inventory.json").dags
    readings = {unit.task_id: unit for unit in report(content).units}
    text = draft_dag(dag, readings, Place("dbt", lambda _: "", DagsterCrons.asked_now())).text
    schedule = yaml.safe_load(text)["attributes"]["schedule"]
    assert Schedule.of(schedule["cron"], schedule["timezone"], schedule["start"]).start == at.astimezone(
        timezone.utc
    )
    return str(schedule["start"])


def _key(at: datetime) -> str:
    schedule = Schedule.of("30 * * * *", "America/New_York", "2024-11-01")
    return PartitionedSchedule(schedule, DagsterCrons.asked_now()).key_of(schedule.window_from(at))


def _printed(shows: Callable[[datetime], None]) -> Said:
    def said(at: datetime, written: Callable[[], str]) -> str:
        shows(at)
        return written()

    return said


SHOWN: dict[str, Said] = {
    "parity status, a forced move": _printed(
        lambda at: render.print_status(Status((), forced=(_entry(at),)))
    ),
    "parity status --json": lambda at, _: json.dumps(
        render.status_json(Status((), forced=(_entry(at),)))["forced"]
    ),
    "parity explain": _printed(
        lambda at: render.print_explanations([Explanation(CHECK, "w", _evidence(at), "")])
    ),
    "parity explain --json": lambda at, _: json.dumps(Explanation(CHECK, "w", _evidence(at), "").as_json()),
    "evidence as JSON": lambda at, _: json.dumps(_evidence(at).as_json()),
    "the report": lambda at, _: re.sub(r".*<title>(.*?)</title>.*", r"\1", page(Report(at)), flags=re.DOTALL),
    "parity windows, who wrote": lambda at, _: str(Wrote(Owner.DAGSTER, "w", at, "run", ended=at)),
    "parity windows --json": lambda at, _: json.dumps(
        Wrote(Owner.DAGSTER, "w", at, "run", began=at).as_json()
    ),
    "a move in progress": lambda at, _: str(in_progress(OpenMove(_entry(at)), half_done=True)),
    "a move that was overtaken": lambda at, _: _refused(at),
    "the ledger": lambda at, _: json.dumps(_entry(at).as_json()),
    "an unfair comparison": lambda at, _: unfair_reason(
        Standing(
            False,
            Write(2, "w", at, at),
            Write(1, "w", datetime(2024, 11, 3, 5, tzinfo=timezone.utc), at),
            made_for=1,
        )
    ),
    "a relation's past": lambda at, _: str(Relation("a", "b", "c", at)),
    "a window": lambda at, _: str(Window.between(at, datetime(2024, 11, 4, tzinfo=timezone.utc))),
    "a mirror's start": lambda at, _: _scaffolded(at),
    "a partition's key": lambda at, _: _key(at),
}


@pytest.mark.parametrize("said", SHOWN.values(), ids=SHOWN.keys())
def test_an_instant_is_one_instant(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    """Both 01:30 of the night in which clocks go back are written apart, each time of day with an offset or UTC."""

    def written() -> str:
        captured = capsys.readouterr()
        return captured.out + captured.err

    texts = [" ".join(said(at, written).split()) for at in (SUMMER, WINTER)]

    assert texts[0] != texts[1]
    for text in texts:
        assert re.search(r"\d\d:\d\d", text), text
        assert not BARE.search(OFFSET.sub("Z", text)), text


@pytest.mark.parametrize(
    "said", [SHOWN[name] for name in ("the report", "parity explain", "parity windows, who wrote")]
)
def test_utc_is_said_of_utc_alone(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    """What is called UTC is the time of UTC, whatever the zone of the datetime."""

    def written() -> str:
        captured = capsys.readouterr()
        return captured.out + captured.err

    assert "05:30" in said(SUMMER, written)
    assert "06:30" in said(WINTER, written)
    assert said(SUMMER, written) == said(SUMMER.astimezone(timezone.utc), written)
