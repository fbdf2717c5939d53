"""The names of tags and metadata stand in one place on each side."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.support.estate import ROOT

PLACES = ("dagster_defs/lifecycle/tags.py", "legacy_dags/handover/names.py")
NAME = re.compile(r"(parity|dagster-airlift)/[a-z_-]+")


def names_in(program: str) -> Iterator[str]:
    """Texts that are the name of a tag; the name of a format ends in its number."""
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value):
            yield node.value


def test_a_name_is_seen() -> None:
    """Wherever it stands in a program, and a format is not taken for one."""
    assert list(names_in("f(tags={'parity/side': x})\nSCHEMA = 'parity/ledger/1'")) == ["parity/side"]


def test_no_tag_is_named_elsewhere() -> None:
    """Whatever writes or reads a tag takes its name from `tags.py`, or in Airflow's environment from `names.py`."""
    elsewhere = {
        str(path.relative_to(ROOT)): names
        for folder in ("dagster_defs", "demo", "legacy_dags")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in PLACES
        and (names := list(names_in(path.read_text(encoding="utf-8"))))
    }

    assert elsewhere == {}
