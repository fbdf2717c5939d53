"""dbt's command line, parsed with dbt's own definition of it.

Only the syntax comes from dbt: nothing is looked up in the machine's environment, no path is checked, and no value
except `--vars` is converted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from dagster_defs.inventory.holes import Holes
from dagster_defs.older_python import StrEnum
from dagster_defs.windows.values import Source, ValueRefused, read_yaml, sources_in


class Kind(StrEnum):
    """What a unit does, the main purpose of a chain first."""

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
    # Both repeat or copy the result of another invocation.
    "retry": Kind.OPAQUE,
    "clone": Kind.OPAQUE,
}
"""Sub-commands that are missing here (`docs generate`, `ls`, `compile`, `debug`, …) build nothing."""

# Options that say where dbt is, and where it reads and writes: they differ from machine to machine.
_PLACES = frozenset({"target", "profile", "profiles_dir", "project_dir", "target_path", "log_path"})
# How a program is found; dbt has no option for these.
_PROGRAM_PLACES = frozenset({"PATH", "PYTHONPATH", "VIRTUAL_ENV"})

SELECTING = frozenset({"build", "run", "snapshot", "seed", "test", "source freshness"})
REFRESHING = frozenset({"build", "run", "seed"})  # the commands among them that have --full-refresh


class ArgumentsUnreadable(Exception):
    """dbt itself would refuse this command line; the message is dbt's."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What decides which nodes run, in dbt's own terms; hashable, so that each selection is resolved only once.

    `options` are other options that narrow it, such as `--resource-type` and `--indirect-selection`.
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
    """One dbt command line. Texts may contain holes; `vars` is None if `--vars` is not a readable mapping.

    `fewer_rows` are the options by which models see only part of their input: `--empty`, `--sample=3 days`.
    `unsure_flags` are environment values that switch a flag on or off and are holes.
    """

    selection: Selection
    full_refresh: bool = False
    target: str | None = None
    vars: Mapping[str, Any] | None = field(default_factory=dict)
    vars_text: str = ""
    vars_sources: Mapping[str, Source] = field(default_factory=dict)
    event_start: str | None = None
    event_end: str | None = None
    project_dir: str | None = None
    operation: str | None = None
    fewer_rows: tuple[str, ...] = ()
    unsure_flags: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        return self.selection.command

    @property
    def kind(self) -> Kind:
        return KINDS.get(self.command, Kind.NON_DBT)


# Options that narrow a selection, other than select, exclude and selector.
_NARROWING = ("resource_types", "exclude_resource_types", "indirect_selection")


def read_arguments(words: Sequence[str], holes: Holes, env: Mapping[str, str] | None = None) -> DbtArguments:
    """Parses the words after `dbt`. `env` is the environment of the call, from which dbt also takes options
    (`DBT_TARGET`). Raises ArgumentsUnreadable."""
    import click

    if not words or not _ASKS_ONLY.isdisjoint(words):
        return DbtArguments(Selection("help"))
    try:
        before, command, rest = _split(words)
        values, left, _ = _parser(command.command).parse_args(list(rest))
        options = {name: value for name, value in {**before, **values}.items() if value is not None}
        unsure = _add_environment(options, command.command, holes, env or {})
    except click.UsageError as error:
        raise ArgumentsUnreadable(holes.restore(error.format_message())) from error
    takes_words = any(isinstance(parameter, click.Argument) for parameter in command.command.params)
    if left and not takes_words:
        raise ArgumentsUnreadable(f"dbt {command.name} takes no word {holes.restore(left[0])!r}")
    text = _as_text(options.get("vars")) or ""
    return DbtArguments(
        Selection(
            command.name,
            _multiple(options.get("select")),
            _multiple(options.get("exclude")),
            _as_text(options.get("selector")),
            _narrowing(command.command, options),
        ),
        bool(options.get("full_refresh")),
        _as_text(options.get("target")),
        read_vars(text),
        text,
        sources_in(text),
        _as_text(options.get("event_time_start")),
        _as_text(options.get("event_time_end")),
        _as_text(options.get("project_dir")),
        _as_text(options.get("macro")),
        tuple(_fewer_rows(options)),
        tuple(unsure),
    )


_UNMIRRORED = ("serve", "clean")  # subcommands with options that no other has


@cache
def option_variables() -> Mapping[str, str]:
    """Every environment variable from which dbt takes an option, mapped to the option's name, according to dbt's own
    list, which differs between versions. Those of `docs serve` and `clean` are left out: `DBT_HOST` is a usual name
    for where a warehouse is."""
    variables: dict[str, str] = {}
    pending = [_cli()]
    while pending:
        command = pending.pop()
        if command.name in _UNMIRRORED:
            continue
        pending += getattr(command, "commands", {}).values()
        for parameter in command.params:
            variables.update(dict.fromkeys(_variables(parameter), parameter.name))
    return variables


@cache
def place_variables() -> frozenset[str]:
    """Environment variables that say where dbt is, and where it reads and writes: they differ between machines."""
    own = {variable for variable, option in option_variables().items() if option in _PLACES}
    return _PROGRAM_PLACES | own


@cache
def compared_variables() -> frozenset[str]:
    """Environment variables of the dbt options that are read as if they were in the command."""
    return frozenset(variable for variable, option in option_variables().items() if option in _READ)


@cache
def harmless_variables() -> frozenset[str]:
    """Environment variables of the dbt options that change what it prints and keeps, but not what it builds."""
    return frozenset(variable for variable, option in option_variables().items() if option in _HARMLESS)


def _add_environment(
    options: dict[str, Any], command: Any, holes: Holes, env: Mapping[str, str]
) -> list[str]:
    """Adds what the environment says and the command line does not; returns the holes that decide a flag."""
    unsure: list[str] = []
    for name, parameter in _parameters_with_variables(command).items():
        if name in options or not (given := _given(parameter, env)):
            continue
        variable, value = given
        if _is_flag(parameter) and holes.in_text(value):
            unsure.append(value)
        else:
            options[name] = _converted(parameter, variable, value)
    return unsure


def accepts(command: str, option: str) -> bool:
    """Whether dbt's (sub-)command has the option (`--select`)."""
    known = _cli()
    for name in command.split():
        known = known.commands[name]
    return any(option in parameter.opts for parameter in known.params)


# With these, dbt prints something and exits, whatever else is given.
_ASKS_ONLY = frozenset({"--version", "-v", "-V", "--help", "-h"})
_HARMLESS = frozenset(
    {
        "cache_selected_only", "debug", "deprecated_print", "log_cache_events", "log_file_max_bytes", "log_format",
        "log_format_file", "log_level", "log_level_file", "macro_debugging", "partial_parse", "partial_parse_file_diff",
        "partial_parse_file_path", "populate_cache", "print", "printer_width", "quiet", "send_anonymous_usage_stats",
        "show_resource_report", "upload_to_artifacts_ingest_api", "use_colors", "use_colors_file", "version_check",
        "write_json",
    }
)  # fmt: skip
# Options that change what a unit is reported to do.
_READ = frozenset(
    {*_NARROWING, "full_refresh", "empty", "sample", "event_time_start", "event_time_end", "target"}
)


def read_vars(text: str) -> Mapping[str, Any] | None:
    """The mapping that dbt reads from `--vars`: YAML, and so also JSON; None if it is not a mapping.

    Uses dbt's own safe loader, which turns an unquoted date into a date object.
    """
    try:
        value = read_yaml(text) if text.strip() else {}
    except ValueRefused:
        return None
    return value if isinstance(value, dict) else None


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
    """click's parser for a command; creating one takes longer than using it."""
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


def _as_text(value: Any) -> str | None:
    return None if value is None else str(value)


def _multiple(value: Any) -> tuple[str, ...]:
    """Repeated options and several words form a union; click returns them as nested tuples."""
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


def _parameters_with_variables(command: Any) -> dict[str, Any]:
    """The options of the command, and dbt's global ones, that have an environment variable."""
    return {
        parameter.name: parameter for parameter in (*_cli().params, *command.params) if _variables(parameter)
    }


def _variables(parameter: Any) -> tuple[str, ...]:
    """The option's environment variables; the first that is set counts."""
    named = parameter.envvar
    return () if not named else (named,) if isinstance(named, str) else tuple(named)


def _given(parameter: Any, env: Mapping[str, str]) -> tuple[str, str] | None:
    """The variable that sets the option, and its value; as in click, an empty one sets nothing."""
    return next(((name, env[name]) for name in _variables(parameter) if env.get(name)), None)


def _is_flag(parameter: Any) -> bool:
    return bool(getattr(parameter, "is_flag", False))


def _converted(parameter: Any, variable: str, value: str) -> Any:
    """The value as on the command line. Raises click.UsageError where dbt would."""
    import click

    if _is_flag(parameter):
        try:
            return click.BOOL.convert(value, parameter, None)
        except click.UsageError as error:
            raise click.UsageError(f"{variable}: {error.format_message()}") from error
    if parameter.multiple or parameter.nargs != 1:
        return tuple(parameter.type.split_envvar_value(value))
    return value
