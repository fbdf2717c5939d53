"""Which program a list of words starts: dbt, a shell, something that hides what it runs, or anything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dagster_defs.inventory.holes import Holes

SHELLS = frozenset({"bash", "sh", "zsh", "dash", "ksh", "ash"})
DBT_COMMANDS = frozenset(
    {
        *(
            "build",
            "clean",
            "clone",
            "compile",
            "debug",
            "deps",
            "docs",
            "init",
            "list",
            "ls",
            "parse",
            "retry",
        ),
        *("run", "run-operation", "seed", "show", "snapshot", "source", "test"),
    }
)

_DBT = frozenset({"dbt", "dbt-ol"})  # dbt-ol is OpenLineage's: it takes dbt's own arguments
_DBT_MODULES = frozenset({"dbt", "dbt.cli.main"})
# What comes before the program proper, and the options of each that take a word of their own.
_PREFIXES: dict[str, frozenset[str]] = {
    "exec": frozenset({"-a"}),
    "command": frozenset(),
    "builtin": frozenset(),
    "time": frozenset({"-f", "-o"}),
    "nohup": frozenset(),
    "nice": frozenset({"-n"}),
    "ionice": frozenset({"-c", "-n"}),
    "env": frozenset({"-u", "-C"}),
    "sudo": frozenset({"-u", "-g"}),
    "timeout": frozenset({"-s", "-k", "--signal", "--kill-after"}),
    "stdbuf": frozenset({"-o", "-e", "-i"}),
    "poetry": frozenset({"-C", "--directory"}),
    "pipenv": frozenset(),
    "pdm": frozenset(),
    "hatch": frozenset({"-e"}),
    "uv": frozenset(
        {"--with", "--project", "--directory", "--python", "-p", "--extra", "--group", "--env-file"}
    ),
    "uvx": frozenset({"--with", "--from", "--python", "-p"}),
    "tini": frozenset(),
    "dumb-init": frozenset(),
}
_RUNNERS = frozenset({"poetry", "pipenv", "pdm", "hatch", "uv"})  # `uv run dbt`: the word `run` is theirs
# Programs for which a word `dbt` is a thing to print, to find or to install, not to run.
_HARMLESS = frozenset(
    {
        *(
            "echo",
            "printf",
            "cat",
            "ls",
            "mkdir",
            "rm",
            "cp",
            "mv",
            "touch",
            "pip",
            "pip3",
            "which",
            "type",
            "git",
        ),
        *(
            "test",
            "cd",
            "grep",
            "sed",
            "awk",
            "tar",
            "gsutil",
            "aws",
            "curl",
            "sleep",
            "date",
            "hash",
            "chmod",
        ),
        *("chown", "find", "ln", "head", "tail", "export", "source", ".", "trap", "wait"),
    }
)


class ProgramKind(StrEnum):
    DBT = "dbt"
    SHELL = "shell"
    OPAQUE = "opaque"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Program:
    """`arguments` are the words after the program; `reason` says what hides an opaque one."""

    kind: ProgramKind
    arguments: tuple[str, ...] = ()
    reason: str = ""
    set_env: tuple[tuple[str, str], ...] = ()

    @property
    def env(self) -> dict[str, str]:
        return dict(self.set_env)


@dataclass(frozen=True, slots=True)
class Script:
    """What `bash -eo pipefail -c TEXT NAME ARGUMENTS` was given; `options` still in words."""

    text: str
    options: str
    arguments: tuple[str, ...]


def what_runs(words: Sequence[str], holes: Holes) -> Program:
    rest = list(words)
    env: dict[str, str] = {}
    while rest:
        name = _base(rest[0])
        if name not in _PREFIXES:
            break
        rest = _after_prefix(name, rest, env)
    if not rest:
        return Program(ProgramKind.OTHER)
    name, first, arguments = _base(rest[0]), rest[0], tuple(rest[1:])
    set_env = tuple(env.items())
    if found := holes.in_text(first):
        if not _base(holes.restore(first).replace("}}", "")).strip().startswith("dbt") or "/" not in first:
            return Program(ProgramKind.OPAQUE, arguments, f"the command comes from {found[0].text}", set_env)
        name = first.rpartition("/")[2]
    if name in _DBT:
        return Program(ProgramKind.DBT, arguments, set_env=set_env)
    if name.startswith("python") and len(arguments) > 1 and arguments[0] == "-m":
        if arguments[1] in _DBT_MODULES:
            return Program(ProgramKind.DBT, arguments[2:], set_env=set_env)
        return Program(ProgramKind.OTHER)
    if name in SHELLS:
        if shell_script(arguments) is not None:
            return Program(ProgramKind.SHELL, arguments, set_env=set_env)
        return _hidden(rest, holes, set_env)
    if name in _HARMLESS:
        return Program(ProgramKind.OTHER)
    return _hidden(rest, holes, set_env)


def _hidden(words: Sequence[str], holes: Holes, env: tuple[tuple[str, str], ...]) -> Program:
    """A program that is neither dbt nor harmless: opaque if it carries dbt's name, else none of our business."""
    for number, word in enumerate(words):
        follows = words[number + 1] if number + 1 < len(words) else ""
        if (
            number
            and _base(word) in _DBT
            and follows in DBT_COMMANDS
            and words[0] in ("docker", "kubectl", "podman")
        ):
            return Program(ProgramKind.DBT, tuple(words[number + 1 :]), set_env=env)
    if any("dbt" in holes.restore(word).lower() for word in words):
        said = holes.restore(" ".join(words))
        return Program(ProgramKind.OPAQUE, tuple(words), f"what `{said}` runs cannot be seen", env)
    return Program(ProgramKind.OTHER)


def shell_script(arguments: Sequence[str]) -> Script | None:
    """The text behind `-c`, also in `-lc` or `-eo pipefail -c`; None if the shell is given a file."""
    options: list[str] = []
    for number, word in enumerate(arguments):
        if not word.startswith(("-", "+")):
            if options and options[-1].endswith("o"):
                options.append(word)
                continue
            return None
        if word.startswith("-") and not word.startswith("--") and "c" in word:
            if number + 1 >= len(arguments):
                return None
            options.append(word.replace("c", "").replace("l", "").replace("i", ""))
            text, *rest = arguments[number + 1 :]
            return Script(text, " ".join(option for option in options if option != "-"), tuple(rest[1:]))
        options.append(word)
    return None


def _after_prefix(name: str, words: Sequence[str], env: dict[str, str]) -> list[str]:
    takes, rest = _PREFIXES[name], list(words[1:])
    runs = name not in _RUNNERS
    while rest:
        word = rest[0]
        if word in takes:
            rest = rest[2:]
        elif word == "--" or word.startswith("-"):
            rest = rest[1:]
        elif name in ("env", "sudo") and "=" in word:
            key, _, value = word.partition("=")
            env[key] = value
            rest = rest[1:]
        elif name == "timeout" and runs:
            runs, rest, name = True, rest[1:], "timed"
        elif not runs and word in ("run", "exec"):
            runs, rest = True, rest[1:]
        else:
            break
    return rest if runs else []


def _base(word: str) -> str:
    return word.rpartition("/")[2]
