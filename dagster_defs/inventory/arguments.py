"""dbt's command line, read with dbt's own definitions of it.

Only the syntax is dbt's here: nothing is looked up in the machine's environment, no path is checked, and no
value is converted but `--vars`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import Any

import yaml

from dagster_defs.inventory.holes import Holes


class Kind(StrEnum):
    """What a unit does, the main thing of a chain first."""

    BUILD = "dbt-build"
    RUN = "dbt-run"
    SNAPSHOT = "dbt-snapshot"
    SEED = "dbt-seed"
    OPAQUE = "opaque"
    TEST = "dbt-test"
    RUN_OPERATION = "dbt-run-operation"
    SOURCE_FRESHNESS = "dbt-source-freshness"
    DEPS = "dbt-deps"
    NON_DBT = "non-dbt"


KINDS: Mapping[str, Kind] = {
    "build": Kind.BUILD,
    "run": Kind.RUN,
    "snapshot": Kind.SNAPSHOT,
    "seed": Kind.SEED,
    "test": Kind.TEST,
    "run-operation": Kind.RUN_OPERATION,
    "source freshness": Kind.SOURCE_FRESHNESS,
    "deps": Kind.DEPS,
    # Both repeat or copy what another invocation left behind.
    "retry": Kind.OPAQUE,
    "clone": Kind.OPAQUE,
}
"""Sub-commands that are not here (`docs generate`, `ls`, `compile`, `debug`, …) build nothing."""

PLACE_VARIABLES = frozenset(
    f"{prefix}{name}"
    for prefix in ("DBT_", "DBT_ENGINE_")
    for name in ("TARGET", "PROFILE", "PROFILES_DIR", "PROJECT_DIR", "TARGET_PATH", "LOG_PATH")
) | {"PATH", "PYTHONPATH", "VIRTUAL_ENV"}
"""Environment variables that say where dbt is, and where it reads and writes: each machine has its own."""

SELECTING = frozenset({"build", "run", "snapshot", "seed", "test", "source freshness"})


class ArgumentsUnreadable(Exception):
    """dbt itself would refuse this command line; the message is dbt's."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What decides which nodes run, in dbt's own words; hashable, so that each is resolved once.

    `options` are other options that narrow it: `--resource-type`, `--indirect-selection` and their kin.
    """

    command: str
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    selector: str | None = None
    options: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        words = self.command.split()
        words += ["--select", *self.select] if self.select else []
        words += ["--exclude", *self.exclude] if self.exclude else []
        words += ["--selector", self.selector] if self.selector else []
        return [*words, *self.options]


@dataclass(frozen=True, slots=True)
class DbtArguments:
    """One dbt command line. Texts may hold holes; `vars` is None where `--vars` is no mapping that can be read.

    `fewer_rows` are the options by which models see a part of their input only: `--empty`, `--sample=3 days`.
    """

    selection: Selection
    full_refresh: bool = False
    target: str | None = None
    vars: Mapping[str, Any] | None = field(default_factory=dict)
    vars_text: str = ""
    event_start: str | None = None
    event_end: str | None = None
    project_dir: str | None = None
    operation: str | None = None
    fewer_rows: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        return self.selection.command

    @property
    def kind(self) -> Kind:
        return KINDS.get(self.command, Kind.NON_DBT)


# Options that narrow a selection and are neither select, exclude nor selector.
_NARROWING = ("resource_types", "exclude_resource_types", "indirect_selection")


def read_arguments(words: Sequence[str], holes: Holes, env: Mapping[str, str] | None = None) -> DbtArguments:
    """The words after `dbt`. `env` is the environment of the call: dbt takes options from it too
    (`DBT_TARGET`). Raises ArgumentsUnreadable."""
    import click

    if not words or not _ASKS_ONLY.isdisjoint(words):
        return DbtArguments(Selection("help"))
    try:
        before, command, rest = _split(words)
        values, left, _ = _parser(command.command).parse_args(list(rest))
    except click.UsageError as error:
        raise ArgumentsUnreadable(holes.restore(error.format_message())) from error
    options = {name: value for name, value in {**before, **values}.items() if value is not None}
    for parameter in command.command.params:
        if parameter.name in _FROM_ENV and parameter.name not in options:
            options.update(_from_env(parameter, env or {}))
    takes_words = any(isinstance(parameter, click.Argument) for parameter in command.command.params)
    if left and not takes_words:
        raise ArgumentsUnreadable(f"dbt {command.name} takes no word {holes.restore(left[0])!r}")
    text = _said(options.get("vars")) or ""
    return DbtArguments(
        Selection(
            command.name,
            _multiple(options.get("select")),
            _multiple(options.get("exclude")),
            _said(options.get("selector")),
            _narrowing(command.command, options),
        ),
        bool(options.get("full_refresh")),
        _said(options.get("target")),
        read_vars(text),
        text,
        _said(options.get("event_time_start")),
        _said(options.get("event_time_end")),
        _said(options.get("project_dir")),
        _said(options.get("macro")),
        tuple(_fewer_rows(options)),
    )


def accepts(command: str, option: str) -> bool:
    """Whether dbt's (sub-)command has the option (`--select`)."""
    found = _cli()
    for name in command.split():
        found = found.commands[name]
    return any(option in parameter.opts for parameter in found.params)


# dbt prints something and ends, whatever else is said.
_ASKS_ONLY = frozenset({"--version", "-v", "-V", "--help", "-h"})
_FLAGS = frozenset({"full_refresh", "empty"})
_FROM_ENV = _FLAGS | {"target", "event_time_start", "event_time_end", "project_dir", "sample"}


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_vars(text: str) -> Mapping[str, Any] | None:
    """The mapping that dbt reads from `--vars`: YAML, and so JSON as well; None if it is none.

    dbt's own loader is the safe one; it turns an unquoted date into a date object.
    """
    try:
        value = yaml.load(text, Loader=_LOADER) if text.strip() else {}  # noqa: S506 - it is the safe one
    except yaml.YAMLError:
        return None
    return value if isinstance(value, dict) else None


def as_text(value: Any) -> str:
    """A value as a model reads it: a date object prints as ISO text."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date) else str(value)


def plain(value: Any) -> Any:
    """Fit for JSON: dates become text, names become strings."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return as_text(value) if isinstance(value, date) else value


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    command: Any


@cache
def _cli() -> Any:
    from dbt.cli.main import cli  # importing dbt takes seconds

    return cli


@cache
def _parser(command: Any) -> Any:
    """click's parser of a command; making one takes longer than reading with it."""
    import click

    return command.make_parser(click.Context(command, info_name=command.name))


def _split(words: Sequence[str]) -> tuple[dict[str, Any], _Found, list[str]]:
    """Global options, the (sub-)command, and what follows it. Groups (`source freshness`) are followed down."""
    import click

    group, names, before = _cli(), [], {}
    rest = list(words)
    while True:
        values, rest, _ = _parser(group).parse_args(rest)
        before.update(values)
        if not rest:
            raise click.UsageError("there is no dbt command")
        name, *rest = rest
        command = group.commands.get(name)
        if command is None:
            raise click.UsageError(f"No such command {name!r}.")
        names.append(_ALIASES.get(name, name))
        if not isinstance(command, click.Group):
            return before, _Found(" ".join(names), command), rest
        group = command


_ALIASES = {"snapshot-freshness": "freshness", "list": "ls"}


def _said(value: Any) -> str | None:
    return None if value is None else str(value)


def _multiple(value: Any) -> tuple[str, ...]:
    """Repeated options and several words are one union; click gives them as nested tuples."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(word for item in value for word in _multiple(item))


def _narrowing(command: Any, options: Mapping[str, Any]) -> tuple[str, ...]:
    words: list[str] = []
    for parameter in command.params:
        if parameter.name in _NARROWING and parameter.name in options:
            for word in _multiple(options[parameter.name]):
                words += [parameter.opts[0], word]
    return tuple(words)


def _fewer_rows(options: Mapping[str, Any]) -> Iterator[str]:
    if options.get("empty"):
        yield "--empty"
    if options.get("sample"):
        yield f"--sample={options['sample']}"


def _from_env(parameter: Any, env: Mapping[str, str]) -> dict[str, Any]:
    names = parameter.envvar if isinstance(parameter.envvar, list | tuple) else [parameter.envvar]
    for name in names:
        if name and env.get(name):
            value: Any = env[name]
            if parameter.name in _FLAGS:
                value = value.lower() in ("1", "true", "yes", "on", "t", "y")
            return {parameter.name: value}
    return {}
