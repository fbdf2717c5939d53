"""docs/adopting.md is a complete reference of the component types, and each of its blocks is tried as it stands.

Its commands are run by `tests/journeys/test_newcomer.py`, `tests/journeys/test_foreign_project.py` and
`tests/cli/test_store_commands.py`.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import dagster_defs.components
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.files.team_file import read_team
from dagster_defs.cli.app import app
from dagster_defs.components.units.compared_model import ComparedModel
from dagster_defs.components.units.dbt_program import DbtProgram
from dagster_defs.components.units.outputs import NoOutputs, OutputWarehouse, UnitOutput
from dagster_defs.components.units.python_unit import ExternalAsset
from dagster_defs.components.units.unit_schedule import UnitSchedule
from dagster_defs.components.units.waits_for import WaitsFor
from tests.support.documents import ROOT, document, fenced

ADOPTING = document("docs/adopting.md")
BLOCKS = ADOPTING.blocks("yaml")
RUN_ELSEWHERE = {  # sections whose commands other files run, as they stand
    "## In four commands",
    "## 3. A mirror for each unit",
    "#### The record in PostgreSQL",
    "## 4. Run both",
}
SCHEDULE = {"cron": "0 5 * * *", "timezone": "Europe/Berlin", "start": "2024-01-01"}
UNIT = {"unit": "orders_daily.dbt_orders", "schedule": SCHEDULE}
NEVER = {"shadow": "never", "because": "it sends an invoice"}
# What is around a block that shows a part of a mirror, by the first word of the block.
AROUND: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "dbt": ("DbtUnit", UNIT),
    "before": ("DbtUnit", UNIT),
    "schedule": ("DbtUnit", UNIT),
    "vars": ("DbtUnit", UNIT),
    "container": ("CommandUnit", {**UNIT, **NEVER}),
    "outputs": ("CommandUnit", {**UNIT, "command": "true", **NEVER}),
    "shadow": ("LegacyTask", UNIT),
}
TYPES = [getattr(dagster_defs.components, name) for name in dagster_defs.components.__all__]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_attribute_of_a_component_is_documented(kind: Any) -> None:
    """Each attribute of the type's YAML has a row in its section, and there is no other row."""
    section = document("docs/adopting.md").section(f"### `{kind.__name__}`")
    assert _rows(section) == _attributes(kind)


def test_the_outputs_are_documented() -> None:
    """Each attribute of an output has a row."""
    assert _rows(document("docs/adopting.md").section("### `outputs`")) == _attributes(UnitOutput)


def test_the_schedule_is_documented() -> None:
    """Each attribute of `schedule` has a row."""
    assert _rows(document("docs/adopting.md").section("### `schedule`")) == _attributes(UnitSchedule)


@pytest.mark.parametrize(
    "kind",
    [ComparedModel, DbtProgram, ExternalAsset, NoOutputs, OutputWarehouse, WaitsFor],
    ids=lambda kind: kind.__name__,
)
def test_small_records_are_named(kind: Any) -> None:
    """The attributes of the small records stand somewhere in the text."""
    text = document("docs/adopting.md").text
    assert all(f"`{name}`" in text for name in _attributes(kind))


def _rows(section: str) -> set[str]:
    return set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE))


def _attributes(kind: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: " ".join(block.split())[:40])
def test_each_block_of_yaml_is_taken(block: str, tmp_path: Path) -> None:
    """A mirror, a part of one, `parity.yaml`, a profile, or a step of a pipeline: whoever reads that takes it."""
    written = yaml.safe_load(block)
    if isinstance(written, list):
        [step] = written
        refuse_no_command(step["run"])
        return
    match next(iter(written)):
        case "type":
            name = written["type"].rpartition(".")[2]
            around = UNIT if "unit" in written["attributes"] else {}
            taken(name, {**around, **written["attributes"]})
        case "airflows":
            (tmp_path / "parity.yaml").write_text(block)
            assert set(read_team(tmp_path / "parity.yaml").airflows) == set(written["airflows"])
        case "rehearsal":
            (tmp_path / "dbt_project.yml").write_text("{name: own, profile: own}\n")
            profile = {"own": {"target": "legacy", "outputs": written}}
            (tmp_path / "profiles.yml").write_text(yaml.safe_dump(profile))
            files = {DbtWorkspace(tmp_path, target).database_file.name for target in written}
            assert files == {"legacy.duckdb", "candidate.duckdb"}
        case part:
            name, more = AROUND[part]
            taken(name, {**more, **written})


def taken(name: str, attributes: Mapping[str, Any]) -> None:
    """The component is made of what is written, with the types that its attributes have."""
    kind = getattr(dagster_defs.components, name)
    made = kind.resolve_from_yaml(yaml.safe_dump(dict(attributes)))
    assert isinstance(made, kind)
    assert set(attributes) <= _attributes(kind)


def refuse_no_command(line: str) -> None:
    program, verb, *arguments = shlex.split(line)
    assert program == "parity"
    command = typer.main.get_command(app)
    command.commands[verb].make_context(verb, arguments)  # type: ignore[attr-defined]


def test_every_block_of_commands_is_run() -> None:
    """No section has commands that no test runs, and no named section is gone."""
    sections = {heading: fenced(ADOPTING.section(heading), "console") for heading in RUN_ELSEWHERE}

    assert all(sections.values())
    found = {block for blocks in sections.values() for block in blocks}
    assert found == {*ADOPTING.blocks("console")}


def test_the_last_line_of_a_dag_file_is_the_foreign_estates() -> None:
    """The line that makes tasks movable is the one that the journey of a foreign project has on real servers."""
    [block] = ADOPTING.blocks("python")
    first, *_, last = block.strip().splitlines()
    [dag_file] = [
        path for path in (ROOT / "tests" / "journeys" / "shop").rglob("*.py") if last in path.read_text()
    ]

    lines = dag_file.read_text().splitlines()
    assert first in lines
    assert lines[-1] == last
