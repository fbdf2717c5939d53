"""The commands that read evidence from Dagster's event log: `status`, `check --evidence` and `explain`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from typer.testing import CliRunner

from dagster_defs import cli
from dagster_defs.adapters.dagster import event_log, evidence
from dagster_defs.adapters.dagster.evidence import PARITY, evidence_metadata
from dagster_defs.adapters.dagster.mirrors import load_mirrors
from dagster_defs.cli.looking import KeptVerdict
from dagster_defs.errors import NoSuchUnit
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.verdicts import WindowCheck
from dagster_defs.parity import Check, SideCounts, Verdict
from dagster_defs.usecases import check as comparison
from dagster_defs.usecases import report, status
from dagster_defs.windows import Window
from tests.support.estate import DAYS, Estate

DAILY = Unit("taxi_daily", "dbt_daily")
LINK = "http://airflow.example/dags/taxi_daily/grid?dag_run_id=x"
SAMPLE = {
    "kind": "modified",
    "copies": 1,
    "key": {"trip_date": DAYS[1], "pickup_borough": "Manhattan"},
    "columns": {"total_amount": {"legacy": "50047.74", "candidate": "50048.74"}},
}
HOURLY, WEEKLY = Unit("taxi_hourly", "dbt_hourly"), Unit("taxi_weekly", "dbt_weekly")
# Of the day on which New York's clocks go back, and one of the next day.
HOURS = ("2024-11-03T01:00-0400", "2024-11-03T01:00-0500", "2024-11-03T11:00-0500", "2024-11-04T00:00-0500")
# Of the day on which they go forward.
ALL_HOURS = (
    "2024-03-10T00:00-0500",
    "2024-03-10T01:00-0500",
    *(f"2024-03-10T{hour:02}:00-0400" for hour in range(3, 24)),
)
WEEKS = ("2024-03-04", "2024-03-11")
ANY_WINDOW = Window.between("2024-03-10T05:00:00+00:00", "2024-03-10T06:00:00+00:00")
Parity = Callable[..., Any]


def checked(name: str, partition: str | None, verdict: Verdict, reason: str) -> WindowCheck:
    samples = (SAMPLE,) if verdict is Verdict.MISMATCH else ()
    columns = ("total_amount",) if samples else ()
    return WindowCheck(
        DAILY,
        partition,
        Check(
            name,
            verdict,
            reason,
            rows=SideCounts(7, 7),
            modified=len(samples),
            differing_columns=columns,
            samples=samples,
        ),
    )


KEPT = (
    (DAYS[0], checked("daily_metrics", DAYS[0], Verdict.MATCH, "7 rows equal")),
    (DAYS[1], checked("daily_metrics", DAYS[1], Verdict.MISMATCH, "1 row modified in total_amount")),
    (DAYS[0], checked("location_metrics", None, Verdict.INCONCLUSIVE, "legacy has moved on")),
    (DAYS[1], checked("location_metrics", None, Verdict.MATCH, "265 rows equal")),
)


@pytest.fixture
def home(tmp_path: Path, estate: Estate) -> Path:
    """A DAGSTER_HOME whose event log keeps verdicts on one unit."""
    folder = tmp_path / "dagster_home"
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    [mirror] = [each for each in load_mirrors(estate.root) if each.legacy_unit == DAILY]
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        for partition, each in KEPT:
            key = dg.AssetKey(["shadow", each.check.name])
            metadata = evidence_metadata(
                each, mirror.partitions.window_of(partition), airflow_run=LINK, dbt_tests="not known"
            )
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    key, PARITY, passed=each.verdict is Verdict.MATCH, metadata=metadata, partition=partition
                )
            )
    return folder


@pytest.fixture
def parity(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parity]:
    """The command, called in this process on the estate; `home` is DAGSTER_HOME."""
    for module in (comparison, report, status):
        monkeypatch.setattr(module, "load_mirrors", lambda _root: load_mirrors(estate.root))

    def run(*arguments: str, home: Path | None = None) -> Any:
        monkeypatch.delenv("DAGSTER_HOME", raising=False)
        if home is not None:
            monkeypatch.setenv("DAGSTER_HOME", str(home))
        return CliRunner().invoke(cli.app, arguments)

    with estate.entered():
        yield run


def document(outcome: Any) -> Any:
    assert outcome.stdout, outcome.exception
    return json.loads(outcome.stdout)


def test_status_shows_the_evidence(parity: Parity, home: Path) -> None:
    """`parity status` says how the last verdicts come out, for the units that have any."""
    units = {unit["unit"]: unit for unit in document(parity("status", "--json", home=home))["units"]}

    assert units[str(DAILY)]["evidence"] == "2/3 match, 1 mismatch"
    assert all("evidence" not in unit for name, unit in units.items() if name != str(DAILY))
    assert "2/3 match, 1 mismatch" in parity("status", home=home).stdout


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--failing"], [DAILY]),
        (["taxi_hourly", "--failing"], []),
        (["taxi_weekly", "taxi_*.dbt_daily", "--owner", "airflow"],
         [DAILY, *(Unit("taxi_weekly", f"dbt_{task}") for task in ("snapshot", "test", "weekly"))]),
        (["--stage", "retired", "--stage", "cut_over"], []),
        (["--owner", "dagster"], []),
        (["--verdict", "mismatch", "--team", "data-platform"], [DAILY]),
        (["--verdict", "inconclusive"], []),
        (["taxi_daily", "--team", "ada@example.com"], []),
    ],
)  # fmt: skip
def test_status_of_some_units(parity: Parity, home: Path, arguments: list[str], shown: list[Unit]) -> None:
    """By what is known of them, and those that need somebody; the heading says of how many, and so does the JSON."""
    answer = document(parity("status", *arguments, "--json", home=home))

    assert [unit["unit"] for unit in answer["units"]] == [str(unit) for unit in shown]
    assert answer["of"] == 12
    assert parity("status", *arguments, home=home).stdout.startswith(f"{len(shown)} of 12 units")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--failing", "--team", "data-platform"], [DAILY]),
        (["--unit", "taxi_hourly", "--verdict", "mismatch"], []),
        (["--unit", "taxi_daily.*daily"], [DAILY, Unit("taxi_daily", "export_daily")]),
    ],
)
def test_a_report_on_some_units(
    parity: Parity, home: Path, tmp_path: Path, arguments: list[str], shown: list[Unit]
) -> None:
    """The same choices as for the status; the page says of how many units these are."""
    answer = document(parity("report", *arguments, "--json", home=home))
    page = tmp_path / "page.html"
    assert parity("report", str(page), *arguments, home=home).exit_code == 0

    assert [unit["unit"] for unit in answer["units"]] == [str(unit) for unit in shown]
    assert answer["of"] == 12
    assert f">{len(shown)} of 12 units" in page.read_text()


def test_every_verdict_can_be_asked_for() -> None:
    """The command has a list of its own, because it must not import what comparisons need."""
    assert [*KeptVerdict] == [*Verdict]


def test_status_of_a_unit_that_nobody_has(parity: Parity) -> None:
    """A name without a match is an error, as it is for a move."""
    assert isinstance(parity("status", "taxi_monthly").exception, NoSuchUnit)


def test_status_works_without_dagster(parity: Parity) -> None:
    """Without DAGSTER_HOME there is no evidence column, and no word about it."""
    outcome = parity("status")

    assert outcome.exit_code == 0
    assert "EVIDENCE" not in outcome.stdout
    assert outcome.stderr == ""


def test_a_storage_that_does_not_answer_is_a_warning(parity: Parity, tmp_path: Path) -> None:
    """`parity status` still shows the units if the event log cannot be read, and says why it cannot."""
    (tmp_path / "dagster.yaml").write_text("storage: {nothing_like_it: {}}\n")

    outcome = parity("status", home=tmp_path)

    assert outcome.exit_code == 0
    assert str(DAILY) in outcome.stdout
    assert "cannot read the evidence" in outcome.stderr


def test_check_shows_what_is_kept(parity: Parity, home: Path) -> None:
    """`parity check --evidence` compares nothing: the last verdict on each window, with its run; exit code 3."""
    outcome = parity("check", str(DAILY), "--evidence", "--json", home=home)

    found = {(each["name"], each["partition"]): each for each in document(outcome)}
    assert outcome.exit_code == 3
    assert {place: each["verdict"] for place, each in found.items()} == {
        ("daily_metrics", DAYS[0]): "match",
        ("daily_metrics", DAYS[1]): "mismatch",
        ("location_metrics", None): "match",
    }
    assert found["location_metrics", None]["window"] == DAYS[1]
    assert found["daily_metrics", DAYS[1]]["airflow_run"] == LINK
    assert found["daily_metrics", DAYS[1]]["samples"] == [SAMPLE]


def test_a_window_of_the_evidence(parity: Parity, home: Path) -> None:
    """--from and --to leave what is kept on other windows out."""
    outcome = parity("check", str(DAILY), "--evidence", "--from", DAYS[0], "--json", home=home)

    assert (outcome.exit_code, [each["partition"] for each in document(outcome)]) == (0, [DAYS[0]])


def test_evidence_needs_an_event_log(parity: Parity) -> None:
    """Asked for evidence without DAGSTER_HOME, the command says what to set."""
    outcome = parity("check", "--evidence")

    assert "DAGSTER_HOME" in str(outcome.exception)
    assert "no evidence is available" in str(parity("explain", str(DAILY)).exception)


def test_explain_tells_the_difference(parity: Parity, home: Path) -> None:
    """`parity explain` names column, row and both values, the runs, and SQL that DuckDB understands."""
    outcome = parity("explain", str(DAILY), "--window", DAYS[1], home=home)

    assert outcome.exit_code == 3
    for said in (
        "1 row modified in total_amount",
        "pickup_borough=Manhattan",
        "total_amount: 50047.74 in legacy, 50048.74 in candidate",
        LINK,
        "1/2 match, 1 mismatch",
    ):
        assert said in outcome.stdout, said


def test_the_sql_finds_the_rows(
    parity: Parity, built_estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without evidence the window is compared now, and the SQL that explain prints gives just the differing rows."""
    import shutil

    data = tmp_path / "data"
    shutil.copytree(built_estate.data_dir, data)
    with duckdb.connect(str(data / "candidate" / "candidate.duckdb")) as connection:
        connection.execute(
            "update daily_metrics set trips = trips + 1 where trip_date = ? and pickup_borough = 'Queens'",
            [DAYS[0]],
        )
    monkeypatch.setenv("TAXI_DATA_DIR", str(data))

    found = {
        each["name"]: each for each in document(parity("explain", str(DAILY), "--window", DAYS[0], "--json"))
    }

    assert found["daily_metrics"]["verdict"] == "mismatch"
    assert found["daily_metrics"]["at"] is None
    with duckdb.connect() as connection:
        rows = connection.execute(found["daily_metrics"]["sql"]).fetchall()
    with duckdb.connect() as connection:
        none = connection.execute(found["location_metrics"]["sql"]).fetchall()
    assert [(side, borough) for side, _, borough, *_ in rows] == [
        ("candidate", "Queens"),
        ("legacy", "Queens"),
    ]
    assert none == []


def keep(home: Path, name: str, unit: Unit, *partitions: str) -> None:
    """A match of each of these windows of one unit, in the event log of that DAGSTER_HOME."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for partition in partitions:
            one = WindowCheck(unit, partition, Check(name, Verdict.MATCH, "7 rows equal"))
            metadata = evidence_metadata(one, ANY_WINDOW, airflow_run="", dbt_tests="none")
            key = dg.AssetKey(["shadow", name])
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(key, PARITY, passed=True, metadata=metadata, partition=partition)
            )


@pytest.mark.parametrize(
    ("name", "unit", "kept", "asked", "found"),
    [
        # As text, 11:00 of the fall-back day comes before a key with an offset of its own; a week starts on a Monday.
        ("hourly_metrics", HOURLY, HOURS, ("2024-11-03", "2024-11-03"), HOURS[:3]),
        ("hourly_metrics", HOURLY, HOURS, (HOURS[0], HOURS[1]), HOURS[:2]),
        ("weekly_metrics", WEEKLY, WEEKS, ("2024-03-06", "2024-03-06"), WEEKS[:1]),
    ],
)
def test_windows_are_found_by_their_time(
    parity: Parity,
    home: Path,
    name: str,
    unit: Unit,
    kept: tuple[str, ...],
    asked: tuple[str, str],
    found: tuple[str, ...],
) -> None:
    """--from and --to pick windows, not texts: the hours of a day, both of a repeated hour, the week around a day."""
    keep(home, name, unit, *kept)

    outcome = parity(
        "check", str(unit), "--evidence", "--from", asked[0], "--to", asked[1], "--json", home=home
    )

    of_verdict = {each["partition"]: each["verdict"] for each in document(outcome)}
    assert [window for window, verdict in of_verdict.items() if verdict == "match"] == list(found)
    assert {verdict for window, verdict in of_verdict.items() if window not in found} <= {"inconclusive"}
    assert outcome.exit_code == (0 if len(found) == len(of_verdict) else 3)


def test_a_window_without_evidence_is_inconclusive(parity: Parity, home: Path) -> None:
    """Between --from and --to a window that no candidate run has compared stands there as such; exit code 3."""
    keep(home, "weekly_metrics", WEEKLY, WEEKS[0])

    outcome = parity(
        "check", str(WEEKLY), "--evidence", "--from", WEEKS[0], "--to", WEEKS[1], "--json", home=home
    )

    last = document(outcome)[-1]
    assert outcome.exit_code == 3
    assert (last["partition"], last["verdict"]) == (WEEKS[1], "inconclusive")
    assert (last["reason"], last["run"]) == ("no candidate run has compared it", None)


def test_explain_shows_every_window_of_a_day(parity: Parity, home: Path) -> None:
    """A day of an hourly unit is all of its hours that have evidence."""
    keep(home, "hourly_metrics", HOURLY, *ALL_HOURS)

    content = document(parity("explain", str(HOURLY), "--window", "2024-03-10", "--json", home=home))

    assert [each["window"] for each in content] == list(ALL_HOURS)


def test_evidence_on_a_partition_that_is_gone(parity: Parity, home: Path) -> None:
    """After a change of the schedule the old verdicts are explained as before, without SQL."""
    keep(home, "daily_metrics", DAILY, "2024-03-09T03:00-0500")

    found = {each["window"]: each for each in document(parity("explain", str(DAILY), "--json", home=home))}

    assert found["2024-03-09T03:00-0500"]["verdict"] == "match"
    assert found["2024-03-09T03:00-0500"]["sql"] == ""
    assert found[DAYS[0]]["sql"]


def test_all_pages_of_evidence_are_read(parity: Parity, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many evaluations a check has, every window's counts."""
    monkeypatch.setattr(event_log, "EVALUATIONS", 2)
    keep(home, "hourly_metrics", HOURLY, *ALL_HOURS[:5])

    outcome = parity("check", str(HOURLY), "--evidence", "--json", home=home)

    assert sorted(each["partition"] for each in document(outcome)) == sorted(ALL_HOURS[:5])


def test_an_error_beside_the_event_log_stays_what_it_is(home: Path) -> None:
    """Only a storage that cannot be opened or read is unreadable evidence: what its user raises passes through."""
    with pytest.raises(NoSuchUnit), evidence.instance_at(home):
        raise NoSuchUnit("x.y", [])
    with pytest.raises(ValueError, match=r"^$"), evidence.instance_at(home):
        raise ValueError
