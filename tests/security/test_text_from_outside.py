"""Names, reasons, rows and errors from outside are read, and obeyed by neither a terminal nor Markdown nor HTML."""

from __future__ import annotations

import io
import json
import re
import subprocess
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dagster_defs import render
from dagster_defs.adapters.dagster.evidence import samples_table
from dagster_defs.errors import ParityError
from dagster_defs.escape import code_block, markdown, visible
from dagster_defs.inventory import Report
from dagster_defs.inventory.drafts import Outcome, Written
from dagster_defs.lifecycle import Owner, Stage, Unit, UnitState
from dagster_defs.lifecycle.echo_place import LateEchoes
from dagster_defs.lifecycle.facets import Agreement, Facet, UnitFacets
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.looking import Explanation
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.status import Status
from dagster_defs.lifecycle.verdicts import WindowCheck
from dagster_defs.parity import Check, SideCounts, Verdict
from dagster_defs.render.text import base, moves, units, verdicts
from tests.support.estate import AIRFLOW_PYTHON, ROOT

EXPORTER = ROOT / "legacy_dags" / "handover" / "inventory.py"
HOSTILE = {
    "brackets": "[bold red]fare[/bold red]",
    "an unopened tag": "fare[/]",
    "a link of the markup": "[link=https://evil.example]fare[/link]",
    "an emoji": "fare :pile_of_poo:",
    "a list": "list[int], dict['a'], [a-z]*",
    "clear the screen": "fare\x1b[2J\x1b[H",
    "the window's title": "fare\x1b]0;owned\x07",
    "a clickable link": "\x1b]8;;https://evil.example\x1b\\fare\x1b]8;;\x1b\\",
    "the eight-bit introducer": "fare\x9b31m",
    "overwriting the line": "mismatch\rmatch   ",
    "backspaces": "mismatch\b\b\b\b\b\b\b\bmatch",
    "bell and vertical tab": "fare\x07\x0b\x0c",
    "a null byte": "fa\x00re",
    "another reading direction": "fare \u202egnp.exe",
    "isolates": "fare \u2066x\u2069",
    "nothing to see": "fa\u200bre\ufeff",
    "half a surrogate pair": "fare \udcff",
    "separators of lines": "fare\u2028match\u2029match\x85match",
}
UNSAFE = re.compile(
    r"[^\n\t\x20-\x7e\xa0-\u061b\u061d-\u200a\u2010-\u2027"
    r"\u202f-\u205f\u2070-\ud7ff\ue000-\ufefe\uff00-\U0010ffff]"
)
SGR = re.compile(r"\x1b\[[0-9;]*m")  # what rich writes for its own styles


def entry(text: str) -> Entry:
    return Entry(
        "1",
        datetime(2024, 3, 12, tzinfo=timezone.utc),
        text,
        Unit("d", text),
        Move.CUTOVER,
        Kind.DONE,
        Stage.SHADOWED,
        text,
        (text,),
    )


def check(text: str) -> WindowCheck:
    sample = {
        "kind": "modified",
        "copies": 1,
        "key": {text: text},
        "columns": {text: {"legacy": text, "candidate": None}},
    }
    lost = {"kind": "only_in_legacy", "copies": 2, "row": {text: text}}
    found = Check(
        text,
        Verdict.MISMATCH,
        text,
        rows=SideCounts(1, 1),
        modified=1,
        differing_columns=(text,),
        samples=(sample, lost),
    )
    return WindowCheck(Unit("d", text), text, found)


def status(text: str) -> Status:
    unit = Unit("d", text)
    state = UnitState(unit, Stage.OBSERVED, Owner.AIRFLOW)
    return Status(
        (state,), marks_without_unit=(unit,), not_in_airflow=(unit,), facets={unit: text}, evidence={unit: text},
        evidence_problem=text, forced=(entry(text),), drifted=(unit,), ledger_cut_off=text,
        late_echoes=(LateEchoes(text, 2, datetime(2024, 3, 10, tzinfo=timezone.utc), text),),
    )  # fmt: skip


def facets(text: str) -> UnitFacets:
    return UnitFacets(Unit("d", text), (Facet(text, Agreement.DIFFERS, text, text, text),))


def explanation(text: str) -> Explanation:
    return Explanation(check(text), text, None, f"select '{text}'")


PRINTED: dict[str, Callable[[str], None]] = {
    "error": render.print_error,
    "warning": render.warn,
    "message": render.say,
    "progress": lambda text: render.Steps().say(text),
    "verdicts": lambda text: render.print_verdicts([check(text)]),
    "comparisons": lambda text: render.print_comparisons([check(text).check]),
    "explanations": lambda text: render.print_explanations([explanation(text)]),
    "status": lambda text: render.print_status(status(text)),
    "facets": lambda text: render.print_facets([facets(text)]),
    "inventory": lambda text: render.print_inventory(
        Report("2.11", ({"file": text, "error": text, "line": None},), ())
    ),
    "scaffold": lambda text: render.print_scaffold([Written(text, Outcome.WRITTEN, (text,), (text,))]),
    "json": lambda text: render.print_json({"reason": text}),
}


@pytest.fixture(params=["terminal", "file"])
def shown(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the commands print, on a terminal with colours or into a file."""
    written = io.StringIO()
    on_terminal = request.param == "terminal"
    for name in ("out", "err"):
        console = base.PlainConsole(file=written, force_terminal=on_terminal, width=10_000)
        for module in (base, moves, units, verdicts):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, console)
    return written


@pytest.mark.parametrize("printed", PRINTED.values(), ids=PRINTED.keys())
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_terminal_shows_it_and_obeys_nothing(
    shown: io.StringIO, printed: Callable[[str], None], text: str
) -> None:
    """Every command's output has the whole text in it, with unsafe characters as escapes and brackets as brackets."""
    printed(text)

    said = SGR.sub("", shown.getvalue())
    assert not UNSAFE.findall(said)
    if printed is PRINTED["json"]:
        assert json.loads(said)["reason"].encode("utf-8", "surrogatepass") == text.encode(
            "utf-8", "surrogatepass"
        )
    else:
        assert visible(text) in said


@given(st.text())
def test_safe_text_stays_as_it_is_and_no_other_passes(text: str) -> None:
    """Escapes are made of unsafe characters alone."""
    once = visible(text)
    assert not UNSAFE.findall(once)
    assert visible(once) == once
    assert (once != text) is bool(UNSAFE.search(text))


LIVE = {
    "an image": "![x](https://evil.example/x.png)",
    "a link": "[click](javascript:alert(1))",
    "a reference": "[x]: https://evil.example",
    "a bare link": "see https://evil.example or www.evil.example or a@evil.example",
    "an autolink": "<https://evil.example>",
    "HTML": "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "an entity": "&lt;script&gt; &#60;",
    "emphasis": "*a* **b** _c_ __d__ ~~e~~ `f`",
    "a heading": "# a\n## b\na\n===\nb\n---",
    "lists": "- a\n+ b\n* c\n1. d\n2) e",
    "a quote": "> a",
    "code": "    indented\n```\nfenced\n```\n~~~\nf\n~~~",
    "a table": "| a | b |\n|---|---|\n| c | d |",
    "backslashes": "a\\*b\\",
    "a math block": "$$x$$ ${y}",
    "column names": "2 of 7 windows differ in total_amount (column _private_), 3 < 4 > 2",
}


@pytest.mark.parametrize("text", [*LIVE.values(), *HOSTILE.values()], ids=[*LIVE, *HOSTILE])
def test_markdown_of_ours_reads_as_the_text(text: str) -> None:
    """A Markdown renderer finds paragraphs of plain text, and the text is the one that came in."""
    renderer = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = renderer.parse(markdown(text))
    assert {token.type for token in tokens} <= {"paragraph_open", "inline", "paragraph_close"}
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inline} <= {"text", "softbreak", "text_special"}
    read = "".join(child.content or "\n" for child in inline)
    assert [line.strip() for line in read.split("\n")] == [line.strip() for line in visible(text).split("\n")]


@given(st.text(alphabet=st.sampled_from("ab_*`[]()!<>&#-+=1.:/@|~\\ \n\"'$w")))
def test_no_drawn_text_comes_alive_as_markdown(text: str) -> None:
    """Neither a block nor an inline element but text is found in it."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown(text))
    types = {token.type for token in tokens} | {
        child.type for token in tokens for child in token.children or ()
    }
    assert types <= {
        "paragraph_open",
        "inline",
        "paragraph_close",
        "text",
        "softbreak",
        "text_special",
        "hardbreak",
    }


@pytest.mark.parametrize("text", [*LIVE.values(), *HOSTILE.values()], ids=[*LIVE, *HOSTILE])
def test_a_row_stays_in_its_cell(text: str) -> None:
    """Samples of differing rows are a table of four columns, whatever the rows hold."""
    modified = {
        "kind": "modified",
        "key": {text: text},
        "columns": {text: {"legacy": text, "candidate": text}},
    }
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(samples_table([modified]))
    assert sum(token.type == "td_open" for token in tokens) == 5
    inline = {child.type for token in tokens for child in token.children or ()}
    assert inline <= {"text", "text_special", "softbreak"}


@pytest.mark.parametrize(
    "source", ["print(1)", "'''\n```\n<img src=x onerror=alert(1)>\n````\n'''", "`" * 40]
)
def test_a_dags_source_stays_in_its_block(source: str) -> None:
    """A fence in the source does not end the block that shows it."""
    tokens = MarkdownIt("commonmark", {"html": True}).parse(code_block(source, "python"))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == f"{source}\n"


def test_an_error_with_brackets_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """The message of an error of ours may hold anything that a driver or a server has said."""
    error = ParityError("cannot read x: expected one of [/a, /b], got [/]")
    render.print_error(str(error))
    assert "expected one of [/a, /b], got [/]" in capsys.readouterr().err


@pytest.mark.airflow
def test_the_exporter_tells_import_errors_harmlessly(tmp_path: Path) -> None:
    """A DAG file fails with a message that a terminal would obey: stderr shows it, and the inventory keeps it whole."""
    hostile = "\x1b[2J[/bold] \u202e half \udcff"
    dags, out = tmp_path / "dags", tmp_path / "inventory.json"
    dags.mkdir()
    (dags / "broken.py").write_text(f"# DAG, airflow\nraise ValueError({hostile!a})\n")

    done = subprocess.run(
        [
            AIRFLOW_PYTHON, EXPORTER, "--dags-folder", dags, "--from", "2024-03-01", "--to", "2024-03-02", "--out", out,
        ],
        capture_output=True,
        timeout=600,
        check=False,
    )  # fmt: skip

    said = done.stderr.decode("utf-8")
    assert "broken.py, line 2: ValueError: \\u001b[2J[/bold] \\u202e half \\udcff" in said
    assert not UNSAFE.findall(said)
    [kept] = json.loads(out.read_text("utf-8"))["import_errors"]
    assert kept["error"] == f"ValueError: {hostile}"
