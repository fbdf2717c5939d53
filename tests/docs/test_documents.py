"""Laws that hold for every document."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
import typer.main

from dagster_defs.cli import app
from dagster_defs.lifecycle import Owner, Stage
from dagster_defs.parity import Verdict
from tests.support.documents import ROOT, Document, all_documents, document

DOCUMENTS = all_documents()
COMMANDS = frozenset(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED_COMMAND = re.compile(r"(?:`|^ *\$ )(?:\.venv/bin/)?parity ([a-z][a-z-]*)", re.MULTILINE)
MACHINE_PATH = re.compile(r"(?<![\w.~/])/(?:home|root|work|tmp|Users|opt)/")
WORDS = (
    "unit", "legacy / candidate", "window", "inventory", "mirror", "owner", "stage", "condition", "gate / blocker",
    "plan / step", "ledger / entry", "check / verdict", "evidence", "tolerance", "proxy",
)  # fmt: skip

each_document = pytest.mark.parametrize("doc", DOCUMENTS, ids=lambda doc: str(doc.path.relative_to(ROOT)))


@each_document
def test_every_link_leads_somewhere(doc: Document) -> None:
    """A relative link names a file or a folder of the repository, and a heading that it has."""
    broken = [link for link in LINK.findall(doc.prose) if not _leads_somewhere(doc, link)]
    assert not broken


@each_document
def test_what_is_not_there_is_called_so(doc: Document) -> None:
    """A paragraph that names a command that does not exist says "not yet"."""
    boastful = [
        paragraph
        for paragraph in re.split(r"\n\s*\n", doc.text)
        if set(NAMED_COMMAND.findall(paragraph)) - COMMANDS
        and "not yet" not in " ".join(paragraph.lower().split())
    ]
    assert not boastful


@each_document
def test_no_machine_is_named(doc: Document) -> None:
    """No document carries a path of the machine that it was written on."""
    assert not MACHINE_PATH.findall(doc.text)


@pytest.mark.parametrize("word", WORDS)
def test_the_glossary_has_every_word(word: str) -> None:
    """Each word of the project stands in the first column of the glossary's table."""
    assert re.search(rf"^\| \*\*{re.escape(word)}\*\* \| \S", document("docs/glossary.md").text, re.MULTILINE)


@pytest.mark.parametrize("value", [*Stage, *Owner, *Verdict])
def test_the_glossary_spells_values_as_the_code_does(value: str) -> None:
    """Stages, owners and verdicts are written as the command prints them."""
    assert re.search(rf"\b{value}\b", document("docs/glossary.md").text)


def test_decisions_are_numbered_without_gaps() -> None:
    """0001, 0002, …: one file for each, with the number in its title."""
    names = sorted(path.name for path in (ROOT / "docs/decisions").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    for number, name in enumerate(names, 1):
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", name)
        assert document(f"docs/decisions/{name}").text.startswith(f"# {number}. ")


@pytest.mark.parametrize("path", sorted((ROOT / "docs/decisions").glob("*.md")), ids=lambda path: path.stem)
def test_a_decision_has_its_four_parts(path: Document) -> None:
    """Context, decision, measurement, consequence: in this order, and nothing else."""
    headings = re.findall(r"^## (.+)$", Document(ROOT / str(path)).text, re.MULTILINE)
    assert headings == ["Context", "Decision", "Measurement", "Consequence"]


def test_the_code_names_decisions_that_exist() -> None:
    """A document that a docstring or a comment points to is there."""
    for path in [*(ROOT / "dagster_defs").rglob("*.py"), *(ROOT / "legacy_dags").rglob("*.py")]:
        for named in re.findall(r"\bdocs/[\w/.-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / named).is_file(), f"{path.name} points to {named}"


def _leads_somewhere(doc: Document, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    name, _, heading = link.partition("#")
    target = (doc.path.parent / unquote(name)).resolve() if name else doc.path
    if not target.exists():
        return False
    return not heading or heading in {
        _anchor(title) for title in re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
    }


def _anchor(title: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
