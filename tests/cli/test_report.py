"""`parity report`: one page that says what the event log, the inventory and the ledger say, and needs nothing else."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from dagster_defs import cli
from dagster_defs.adapters.dagster.mirrors import load_mirrors
from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.errors import ReportUnwritable
from dagster_defs.lifecycle import Owner, Stage, Unit, UnitState, tags
from dagster_defs.lifecycle.conditions import Condition, ConditionKind
from dagster_defs.lifecycle.facets import Agreement, Facet, UnitFacets
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.report import WINDOWS, Report, ReportedUnit, SideRun, reported_windows
from dagster_defs.lifecycle.settings import FACETS
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.verdicts import Evidence, WindowCheck
from dagster_defs.parity import Check, SideCounts, Verdict
from dagster_defs.render.html import report as render_html
from dagster_defs.settings import Settings
from dagster_defs.usecases import report as gathering
from tests.support.documents import document, fenced
from tests.support.estate import DAYS, Estate

AT = datetime(2024, 3, 12, 14, 5, tzinfo=timezone.utc)
FIRST = datetime(2024, 1, 1, 11, tzinfo=timezone.utc)
DAILY = Unit("taxi_daily", "dbt_daily")
EVIL = "<script>alert('x')</script>\" onmouseover=\"y"
AIRFLOW, DAGSTER = "https://airflow.example/dags/x?a=1&b=2", "http://dagster.example/runs/1"


class Page(HTMLParser):
    """What a browser would see of it: the tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str, attribute: str) -> list[str]:
        return [found[attribute] for name, found in self.elements if name == tag and attribute in found]


def verdict_on(unit: Unit, day: int, verdict: Verdict, reason: str, output: str = "metrics") -> Evidence:
    start = FIRST + timedelta(days=day)
    key = f"{start:%Y-%m-%d}"
    checked = WindowCheck(unit, key, Check(output, verdict, reason, rows=SideCounts(48, 48)))
    return Evidence(checked, key, start, start + timedelta(days=1, hours=1), "run-1", AIRFLOW)


def ran(by: Owner, day: int, seconds: float, *, address: str = "", failed: bool = False) -> SideRun:
    began = FIRST + timedelta(days=day + 1)
    return SideRun(by, began, began + timedelta(seconds=seconds), "run-1", address, failed)


def entry(unit: Unit, kind: Kind = Kind.DONE, *, reason: str = "", forced: tuple[str, ...] = ()) -> Entry:
    return Entry("1", AT, "ada@ops", unit, Move.CUTOVER, kind, Stage.SHADOWED, reason, forced)


def reported(unit: Unit, days: int, verdicts: Callable[[int], Verdict]) -> ReportedUnit:
    """A unit with so many windows, both sides run, and all its facets."""
    found = tuple(
        verdict_on(
            unit, day, verdicts(day), "1 row modified in fare" if day % 20 == 3 else f"{day} rows equal"
        )
        for day in range(days)
    )
    keys = [each.partition for each in found]
    facets = tuple(
        Facet(name, Agreement.UNDETERMINED if name == "ordering" else Agreement.AGREES, "a", "b", "c")
        for name in FACETS
    )
    return ReportedUnit(
        UnitState(unit, Stage.SHADOWED),
        Condition(ConditionKind.WAITING, "2 of 7 windows mismatch (column total_amount)"),
        UnitFacets(unit, facets),
        reported_windows(
            keys,
            found,
            {key: ran(Owner.AIRFLOW, day, 100 + day % 7) for day, key in enumerate(keys)},
            {key: ran(Owner.DAGSTER, day, 60 + day % 11, address=DAGSTER) for day, key in enumerate(keys)},
        ),
        found,
    )


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """Nothing on it is fetched: no script, style, image or font; addresses are links to Airflow and Dagster alone."""
    unit = reported(DAILY, 5, lambda day: Verdict.MISMATCH)
    text = render_html.page(Report(AT, (unit,), (entry(DAILY),)))
    page = Page(text)

    assert {name for name, _ in page.elements} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
    } == set()
    assert [found for _, found in page.elements if "src" in found] == []
    assert not re.search(r"@import|url\(|@font-face", text)
    links = {link for link in page.of("a", "href") if not link.startswith("#")}
    assert links == {AIRFLOW, DAGSTER}
    assert set(re.findall(r"https?://[^\"<]+", text)) == {AIRFLOW.replace("&", "&amp;"), DAGSTER}


def test_whatever_names_and_reasons_hold_is_text() -> None:
    """Markup in a unit, an output, a window, a reason, a facet, a person or a warning is shown and never obeyed; an
    address that is no web page is no link."""
    unit = Unit(EVIL, EVIL)
    checked = WindowCheck(unit, EVIL, Check(EVIL, Verdict.MISMATCH, EVIL))
    kept = Evidence(checked, EVIL, FIRST, AT, EVIL, "javascript:alert(1)")
    run = ran(Owner.DAGSTER, 0, 5, address="javascript:alert(2)")
    windows = reported_windows([EVIL], [kept], {EVIL: run}, {EVIL: run})
    facet = Facet(EVIL, Agreement.DIFFERS, EVIL, EVIL, EVIL)
    row = ReportedUnit(
        UnitState(unit, Stage.SHADOWED),
        Condition(ConditionKind.HELD, EVIL),
        UnitFacets(unit, (facet,)),
        windows,
        (kept,),
    )
    odd = Entry("1", AT, EVIL, unit, Move.CUTOVER, Kind.DONE, Stage.SHADOWED, EVIL, (EVIL,))
    text = render_html.page(Report(AT, (row,), (odd,), EVIL, EVIL, (EVIL,)))
    page = Page(text)

    assert "<script" not in text
    assert [found for _, found in page.elements if any(name.startswith("on") for name in found)] == []
    assert all(link.startswith("#u") for link in page.of("a", "href"))
    assert EVIL in page.text
    assert all("javascript:" not in value for _, found in page.elements for value in found.values())


def test_every_unit_and_verdict_is_on_the_page() -> None:
    """Each unit, each window and each verdict in words beside its mark, so that colour carries nothing alone."""
    verdicts = [Verdict.MATCH, Verdict.MISMATCH, Verdict.INCONCLUSIVE]
    units = [Unit(f"dag_{number}", "task.with.groups") for number in range(3)]
    page = Page(
        render_html.page(Report(AT, tuple(reported(each, 3, verdicts.__getitem__) for each in units)))
    )

    assert all(page.text.count(str(unit)) >= 2 for unit in units)
    for day, mark in ((1, "match: 0"), (2, "mismatch: metrics: 1"), (3, "inconclusive: metrics: 2")):
        assert page.of("td", "title").count(f"2024-01-0{day} {mark} rows equal") == len(units)
    for mark in ("✓ 1 match", "✗ 1 mismatch", "? 1 inconclusive", "✗ mismatch", "? inconclusive"):
        assert page.text.count(mark) == len(units), mark


def test_a_match_by_tolerances_is_no_plain_one() -> None:
    """It has a mark and words of its own: in the summary, in the map and in the counts."""
    kept = verdict_on(DAILY, 0, Verdict.MATCH, "match, 2 tolerated (fare 2), of 48 rows")
    excused = replace(kept.checked, check=replace(kept.checked.check, tolerated={"fare": 2}))
    kept = replace(kept, checked=excused)
    windows = reported_windows([kept.partition], [kept], {}, {})
    state, condition = UnitState(DAILY, Stage.SHADOWED), Condition(ConditionKind.READY)
    page = Page(render_html.page(Report(AT, (ReportedUnit(state, condition, None, windows, (kept,)),))))

    for said in ("≈ 1/1 match (2 tolerated)", "≈ 1 match, tolerated", "2024-01-01: match, 2 tolerated"):
        assert said in page.text, said
    assert (page.of("td", "class"), page.of("tr", "class")) == (["t"], ["l", "c", "v t"])
    assert "✓ 1" not in page.text


def test_it_is_readable_by_a_machine_that_reads_aloud() -> None:
    """The page has a language, a title and a width of its own, every table headers for its columns and rows."""
    text = render_html.page(Report(AT, (reported(DAILY, 3, lambda day: Verdict.MATCH),)))
    page = Page(text)

    assert page.of("html", "lang") == ["en"]
    assert "<title>Parity report, 2024-03-12 14:05 UTC</title>" in text
    assert any("width=device-width" in content for content in page.of("meta", "content"))
    tables = text.split("<table")[1:]
    assert len(tables) == 3
    assert all('<th scope="col">' in table and '<th scope="row">' in table for table in tables)
    assert len(page.of("svg", "aria-label")) == 1


def test_the_same_facts_make_the_same_page() -> None:
    """Nothing but the facts is on the page: made twice, it is the same text."""
    facts = Report(AT, (reported(DAILY, 9, lambda day: Verdict.MATCH),), (entry(DAILY),))

    assert render_html.page(facts) == render_html.page(facts)


def test_a_large_estate_fits_into_a_megabyte() -> None:
    """100 units with 60 windows each stay below 1 MB."""
    units = [Unit(f"some_dag_{number}", "dbt_models") for number in range(100)]
    rows = [
        reported(each, WINDOWS, lambda day: Verdict.MISMATCH if day % 20 == 3 else Verdict.MATCH)
        for each in units
    ]
    text = render_html.page(Report(AT, tuple(rows), tuple(entry(each) for each in units)))

    assert text.count("2024-01-01") >= len(units)
    assert len(text.encode()) < 1_000_000


def test_what_is_not_at_hand_is_said_in_its_place() -> None:
    """Without evidence, inventory or ledger there is a page nevertheless, with the reason of each."""
    empty = Report(AT, (), (), gathering.NO_INVENTORY, gathering.NO_EVIDENCE)
    page = Page(render_html.page(empty))

    assert "no evidence at hand: set DAGSTER_HOME" in page.text
    assert "no inventory at hand" in page.text
    assert "the ledger has no entry" in page.text
    assert "No unit is mirrored." in page.text


def test_an_output_without_a_verdict_is_no_match() -> None:
    """A window of which one output matches and the other was not compared is inconclusive, and says which."""
    day = [verdict_on(DAILY, number, Verdict.MATCH, "48 rows equal") for number in (0, 1)]
    other = verdict_on(DAILY, 0, Verdict.MATCH, "9 rows equal", "locations")

    first, second, third = reported_windows(["2024-01-01", "2024-01-02", "2024-01-03"], [*day, other], {}, {})

    assert first.verdict is Verdict.MATCH
    assert (second.verdict, second.reason) == (Verdict.INCONCLUSIVE, "locations: not compared")
    assert (third.verdict, third.reason) == (None, "")


def test_a_run_of_several_windows_counts_for_each() -> None:
    """The seconds of a run over a range are shared by its windows, clocks that disagree make no negative times, and
    failed runs are left out of the median."""
    shared = SideRun(Owner.DAGSTER, AT, AT + timedelta(seconds=30), windows=3)
    backwards = SideRun(Owner.AIRFLOW, AT, AT - timedelta(seconds=5))
    failed = ran(Owner.DAGSTER, 0, 900, failed=True)
    windows = reported_windows(["a", "b"], [], {"a": backwards}, {"a": shared, "b": failed})
    unit = ReportedUnit(UnitState(DAILY, Stage.SHADOWED), Condition(ConditionKind.READY), windows=windows)

    assert (shared.seconds, backwards.seconds) == (10, 0)
    assert (unit.legacy_seconds, unit.candidate_seconds) == (0, 10)
    assert "failed after 15 min 0 s" in Page(render_html.page(Report(AT, (unit,)))).of("td", "title")


def test_the_ledger_is_a_time_line() -> None:
    """Who did what when and why, the newest first, with the gates that were forced; of a long ledger the newest 200."""
    entries = [entry(DAILY, Kind.INTENDED, reason="the night shift", forced=("facets", "windows"))]
    entries += [entry(Unit("later", str(number))) for number in range(render_html.ENTRIES)]
    page = Page(render_html.page(Report(AT, (), tuple(entries))))
    short = Page(render_html.page(Report(AT, (), tuple(entries[:2]))))

    assert page.text.index("later.199") < page.text.index("later.0:")
    assert "And 1 more in" in page.text
    assert "cutover intended" in short.text
    assert "by ada@ops: the night shift; forced against facets, windows" in short.text


def test_the_shape_is_the_documented_one() -> None:
    """`parity report --json` has the documented keys, at every depth."""
    evidence = verdict_on(DAILY, 0, Verdict.MATCH, "48 rows equal")
    windows = reported_windows(
        [evidence.partition], [evidence], {evidence.partition: ran(Owner.AIRFLOW, 0, 1)}, {}
    )
    facets = UnitFacets(DAILY, (Facet("windows", Agreement.AGREES, "", ""),))
    state, condition = UnitState(DAILY, Stage.SHADOWED), Condition(ConditionKind.READY)
    facts = Report(AT, (ReportedUnit(state, condition, facets, windows, (evidence,)),), warnings=("one",))
    [documented] = fenced(document("docs/reference.md").section("### `parity report`"), "json")

    assert shape(facts.as_json()) == shape(json.loads(documented))


def shape(value: Any) -> Any:
    """Keys, all the way down."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in sorted(value.items())}
    return [shape(inner) for inner in value] if isinstance(value, list) else None


def test_a_facet_that_does_not_agree_says_why() -> None:
    """In the table it is a mark; among the unit's lines the detail stands in words, for a phone without tooltips."""
    page = Page(render_html.page(Report(AT, (reported(DAILY, 1, lambda day: Verdict.MATCH),))))

    assert "? ordering undetermined: c" in page.text
    assert "windows agrees" not in page.text


Parity = Callable[..., Any]


@pytest.fixture
def parity(built_estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parity]:
    """The command in this process on the estate that both sides have run, with a folder of marks of its own and, if
    `home` is said, its event log."""
    monkeypatch.setattr(gathering, "load_mirrors", lambda _root: load_mirrors(built_estate.root))
    monkeypatch.setattr(Settings, "inventory_file", None)
    with built_estate.entered():
        monkeypatch.setenv("PARITY_PROXIED_STATE", str(tmp_path / "proxied_state"))
        monkeypatch.chdir(tmp_path)

        def run(*arguments: str, home: str = "") -> Any:
            monkeypatch.delenv("DAGSTER_HOME", raising=False)
            if home:
                monkeypatch.setenv("DAGSTER_HOME", home)
            return CliRunner().invoke(cli.app, ["report", *arguments])

        yield run


def test_the_report_of_an_estate(parity: Parity, built_estate: Estate, tmp_path: Path) -> None:
    """The command writes the page, with both days of every unit that ran, both sides' times, and each verdict that the
    event log keeps; `--json` has the same facts."""
    Ledger(tmp_path / "proxied_state").append(
        Entry("1", AT, "ada@ops", DAILY, Move.HOLD, Kind.HELD, Stage.SHADOWED, "month end")
    )
    home = built_estate.instance.root_directory

    outcome = parity("--html", "--json", home=home)

    assert outcome.exit_code == 0, outcome.exception
    page = Page((tmp_path / "parity-report.html").read_text(encoding="utf-8"))
    facts = json.loads(outcome.stdout)
    units = {unit["unit"]: unit for unit in facts["units"]}
    assert facts["schema"] == "parity/report/1"
    assert sorted(units) == built_estate.units
    assert all(name in page.text for name in units)
    daily = units[str(DAILY)]
    assert [window["window"] for window in daily["windows"]] == list(DAYS)
    for window in daily["windows"]:
        assert window["legacy"]["seconds"] > 0
        assert window["candidate"]["seconds"] > 0
        assert window["legacy"]["windows"] == window["candidate"]["windows"] == len(DAYS)
        assert window["verdict"] in {verdict.value for verdict in Verdict}
        assert any(
            title.startswith(f"{window['window']} {window['verdict']}") for title in page.of("td", "title")
        )
    assert daily["condition"] == "held"
    assert "month end" in page.text
    assert {each["output"] for each in daily["verdicts"]} == {"daily_metrics", "location_metrics"}
    assert [each["kind"] for each in facts["ledger"]] == ["held"]


def test_the_observers_times_and_links(parity: Parity, built_estate: Estate, tmp_path: Path) -> None:
    """What the observer noted of Airflow's run is legacy's time and its link, and a failed candidate run is shown."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    noted: dict[str, Any] = {
        "Airflow run": dg.MetadataValue.url(AIRFLOW),
        "Airflow run id": "scheduled__x",
        tags.BEGAN: dg.MetadataValue.timestamp(AT.timestamp()),
        tags.ENDED: dg.MetadataValue.timestamp(AT.timestamp() + 12),
    }
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for key in ("daily_metrics", "location_metrics"):
            instance.report_runless_asset_event(
                dg.AssetMaterialization(key, partition=DAYS[0], metadata=noted)
            )
        instance.add_run(
            dg.DagsterRun(
                "shadow__taxi_daily__dbt_daily",
                status=dg.DagsterRunStatus.FAILURE,
                tags={tags.UNIT: str(DAILY), tags.SIDE: "candidate", "dagster/partition": DAYS[0]},
            )
        )

    facts = json.loads(parity("--json", home=str(home)).stdout)

    [window] = next(unit for unit in facts["units"] if unit["unit"] == str(DAILY))["windows"]
    assert window["verdict"] is None
    legacy = window["legacy"]
    assert (legacy["by"], legacy["run"], legacy["seconds"]) == ("airflow", "scheduled__x", 12)
    assert legacy["address"] == AIRFLOW
    assert window["candidate"]["failed"] is True
    assert not (tmp_path / "parity-report.html").exists()


def test_a_report_with_nothing_at_hand(parity: Parity, tmp_path: Path) -> None:
    """Without an event log, an inventory and a ledger the page is written all the same, and a file for a person to
    read; an event log that cannot be read is said in its place."""
    done = parity("other.html")

    assert done.exit_code == 0, done.exception
    assert "written: other.html" in done.stderr
    text = (tmp_path / "other.html").read_text(encoding="utf-8")
    assert "no evidence at hand: set DAGSTER_HOME" in text
    assert stat.S_IMODE((tmp_path / "other.html").stat().st_mode) == 0o644
    (tmp_path / "dagster.yaml").write_text("storage: {nothing_like_it: {}}\n")
    assert parity("other.html", home=str(tmp_path)).exit_code == 0
    assert "cannot read the evidence" in (tmp_path / "other.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder that is not there is one message with the remedy, and what was there before stays whole."""
    with pytest.raises(
        ReportUnwritable, match=r"No such file or directory\. Name a file in an existing folder"
    ):
        gathering.write_page(tmp_path / "nowhere" / "page.html", "")

    (tmp_path / "page.html").mkdir()
    with pytest.raises(ReportUnwritable):
        gathering.write_page(tmp_path / "page.html", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
