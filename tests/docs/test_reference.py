"""docs/reference.md is complete, and its JSON is the command's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from dagster_defs.cli import app
from dagster_defs.errors import ParityError, UsageError
from tests.docs.conftest import Parity
from tests.support.documents import ROOT, document, fenced

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
VARIABLE = re.compile(r"""["']((?:PARITY|TAXI|AIRFLOW|DAGSTER|SNOWFLAKE|DBT)_(?!_)[A-Z_]*[A-Z])["']""")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_is_documented(name: str) -> None:
    """Each command has a section, and each of its options and arguments a row in it."""
    section = document("docs/reference.md").section(f"### `parity {name}`")
    rows = set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))
    several = getattr(COMMANDS[name], "commands", {"": COMMANDS[name]})
    expected = {_shown(parameter) for command in several.values() for parameter in command.params}
    assert all(f"`parity {name} {each}`" in section for each in several if each)
    assert rows >= expected
    assert {row for row in rows if row.startswith("--")} <= expected, (
        "an option that the command does not have"
    )


def test_no_other_command_is_documented() -> None:
    """Each section is about a command that exists."""
    sections = re.findall(r"^### `parity ([a-z-]+)`$", document("docs/reference.md").text, re.MULTILINE)
    assert sorted(sections) == sorted(COMMANDS)


def test_the_status_shape(run_parity: Parity) -> None:
    """`parity status --json` has the documented keys, at every depth."""
    answer = run_parity("status", "--json")
    assert _shape(json.loads(answer.stdout)) == _shape(_documented("status"))


def test_the_migration_plan_shape(run_parity: Parity) -> None:
    """`parity migration-plan --json` has the documented keys."""
    answer = run_parity("migration-plan", "--json")
    assert _shape(json.loads(answer.stdout)) == _shape(_documented("migration-plan"))


def test_the_shape_of_a_move(run_parity: Parity) -> None:
    """A move with `--json` has the documented keys, down to what stands against it."""
    nobody = {"DAGSTER_URL": "http://127.0.0.1:9", "AIRFLOW_URL": "http://127.0.0.1:9"}
    answer = run_parity("shadow", "taxi_daily.dbt_daily", "--json", env=nobody)
    assert answer.returncode == 3, answer.stderr
    assert _shape(json.loads(answer.stdout)) == _shape(_documented("shadow"))


def test_the_check_shape(run_parity: Parity, tmp_path: Path) -> None:
    """`parity check --json` has the documented keys, down to the sample of a differing row."""
    for side, amount in (("legacy", "50047.74"), ("candidate", "50048.74")):
        export = tmp_path / side / "export" / "daily_metrics_2024-03-10.csv"
        export.parent.mkdir(parents=True)
        export.write_text(f"trip_date,pickup_borough,total_amount\n2024-03-10,Manhattan,{amount}\n")
    answer = run_parity(
        "check",
        "taxi_daily.export_daily",
        "--from",
        "2024-03-10",
        "--json",
        env={"TAXI_DATA_DIR": str(tmp_path)},
    )
    assert answer.returncode == 3, answer.stderr
    assert _shape(json.loads(answer.stdout)) == _shape(_documented("check"))


def test_every_environment_variable_is_documented() -> None:
    """Each variable that the code names stands in the reference."""
    reference = document("docs/reference.md").text
    missing = {name for name in _variables() if f"`{name}`" not in reference}
    assert not missing


def test_the_exit_codes_are_documented() -> None:
    """Each exit code that an error can have stands in the reference."""
    codes = set(
        re.findall(r"^\| (\d+) \|", document("docs/reference.md").section("## Exit codes"), re.MULTILINE)
    )
    assert {str(kind.exit_code) for kind in (ParityError, UsageError)} <= codes


def _shown(parameter: Any) -> str:
    long: list[str] = [option for option in parameter.opts if option.startswith("--")]
    return long[0] if long else str(parameter.name).upper()


def _documented(command: str) -> Any:
    [block] = fenced(document("docs/reference.md").section(f"### `parity {command}`"), "json")
    return json.loads(block)


def _shape(value: Any) -> Any:
    """Keys, all the way down; a list is its first element."""
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in sorted(value.items())}
    if isinstance(value, list):
        return [_shape(inner) for inner in value[:1]]
    return None


def _variables() -> Iterator[str]:
    for folder, pattern in (("dagster_defs", "*.py"), ("legacy_dags", "*.py"), ("dbt", "*.yml")):
        for path in (ROOT / folder).rglob(pattern):
            if "target" not in path.relative_to(ROOT).parts:
                yield from VARIABLE.findall(path.read_text(encoding="utf-8"))
