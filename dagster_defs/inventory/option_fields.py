"""Operators with a field for each option of dbt: those of Cosmos, airflow-dbt and airflow-dbt-python."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dagster_defs.inventory.arguments import accepts
from dagster_defs.inventory.holes import HoleKind, Holes

_COMMANDS = {
    "DbtBuild": "build",
    "DbtRunOperation": "run-operation",
    "DbtRun": "run",
    "DbtTest": "test",
    "DbtSeed": "seed",
    "DbtSnapshot": "snapshot",
    "DbtSource": "source freshness",
    "DbtDeps": "deps",
    "DbtDocs": "docs generate",
    "DbtLS": "ls",
    "DbtCompile": "compile",
    "DbtClone": "clone",
}


def command_of(classes: Sequence[str]) -> str | None:
    """dbt's sub-command, for operators with a field for each of its options (Cosmos, airflow-dbt)."""
    for path in classes:
        module, _, name = path.rpartition(".")
        if module.partition(".")[0] in ("cosmos", "airflow_dbt", "airflow_dbt_python"):
            for prefix, command in _COMMANDS.items():
                if name.startswith(prefix):
                    return command
    return None


# Fields that stand for a selection, beside those that are called as it.
_KINDS_OF_TESTS = {"singular": "singular", "data": "singular", "generic": "generic", "schema": "generic"}


def unsaid_field(command: str, fields: Mapping[str, Any], named: Sequence[str]) -> str:
    """A field that changes what dbt does and has no value in the inventory; empty if there is none. `named`: the fields
    that were given a value of their own."""
    changing = (name for name in named if name in _KINDS_OF_TESTS or accepts(command, _option(name)))
    return next((name for name in changing if name not in fields), "")


def words_of(command: str, fields: Mapping[str, Any], named: Sequence[str], holes: Holes) -> tuple[str, ...]:
    """The words after `dbt`."""
    given: dict[str, list[str]] = {}
    for option in ("select", "models", "exclude"):
        if selection := fields.get(option):
            parts = selection if isinstance(selection, list | tuple) else str(selection).split()
            given[f"--{option}"] = [str(part) for part in parts]
    for key, option in (
        ("selector", "--selector"),
        ("selector_name", "--selector"),
        ("target", "--target"),
        ("profile_target", "--target"),
    ):
        if isinstance(fields.get(key), str) and fields[key]:
            given.setdefault(option, [fields[key]])
    if variables := fields.get("vars"):
        given["--vars"] = [variables if isinstance(variables, str) else json.dumps(variables)]
    refresh = fields.get("full_refresh")
    if refresh is True or (isinstance(refresh, str) and refresh.lower() in ("true", "1", "yes")):
        given["--full-refresh"] = []
    # The operators have all fields, whatever their sub-command accepts, and omit those that it does not.
    words = command.split()
    for option, values in given.items():
        words += [option, *values] if accepts(command, option) else []
    if isinstance(refresh, str) and holes.in_text(refresh) and accepts(command, "--full-refresh"):
        condition = holes.restore(refresh).strip("{} ")
        words.append(holes.dig(f"{{{{ '--full-refresh' if {condition} }}}}", HoleKind.TEMPLATE))
    if kinds := [
        kind for name, kind in _KINDS_OF_TESTS.items() if fields.get(name) is True and command == "test"
    ]:
        words += ["--select", *(f"test_type:{kind}" for kind in kinds)]
    for name in named:
        option = _option(name)
        if option not in given and name != "full_refresh" and accepts(command, option):
            words += _words_of_option(option, fields.get(name))
    flags = fields.get("dbt_cmd_flags")
    words += [str(flag) for flag in flags] if isinstance(flags, list | tuple) else []
    macro = fields.get("macro_name") or fields.get("macro")
    if command == "run-operation" and isinstance(macro, str):
        words.append(macro)
    return tuple(words)


def _option(field_name: str) -> str:
    return f"--{field_name.replace('_', '-')}"


def _words_of_option(option: str, value: Any) -> list[str]:
    """An option as on dbt's command line: a flag, a value, a list of values, or a mapping as YAML."""
    if value is True:
        return [option]
    if value is None or value is False or value == "":
        return []
    if isinstance(value, dict):
        return [option, json.dumps(value)]
    return [option, *map(str, value)] if isinstance(value, list | tuple) else [option, str(value)]
