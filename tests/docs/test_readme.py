"""What README.md shows is what happens."""

from __future__ import annotations

import re

from tests.docs.conftest import Parity
from tests.support.documents import ROOT, document


def test_the_status_block_is_the_real_output(run_parity: Parity) -> None:
    """README's `parity status` is what the command prints for the repository as it is."""
    [block] = [block for block in document("README.md").blocks("console") if "parity status" in block]
    shown = block.splitlines()[1:]
    printed = [line.rstrip() for line in run_parity("status").stdout.splitlines()]
    assert shown == printed


def test_its_commands_are_in_the_makefile() -> None:
    """Every `make` target that a document names exists."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in ("README.md", "docs/reference.md", "docs/what-if.md", "docs/adopting.md"):
        named = set(re.findall(r"(?:`|\$ |=1 )make ([a-z]+)", document(path).text))
        assert named <= targets, path


def test_the_two_commands_come_first() -> None:
    """The first block of commands is `make demo` and `make test`, and nothing else."""
    assert document("README.md").blocks("console")[0].split("\n") == ["$ make demo", "$ make test", ""]


def test_every_command_is_in_its_table(run_parity: Parity) -> None:
    """README's table of commands has those that `parity --help` lists, in the same three groups."""
    rows = re.findall(
        r"^\| (only look|run things|move units) \| (.+) \|$", document("README.md").text, re.MULTILINE
    )
    shown = [set(re.findall(r"`([a-z-]+)`", names)) for _, names in rows]
    groups = re.split(
        r"^(?:Only looks|Runs things|Moves units .*):$", run_parity("--help").stdout, flags=re.MULTILINE
    )
    listed = [set(re.findall(r"^  ([a-z-]+)  ", group, re.MULTILINE)) for group in groups[1:]]

    assert shown == listed
