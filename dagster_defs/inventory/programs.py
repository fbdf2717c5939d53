"""Which program a list of words starts: dbt, a shell, something that hides what it runs, or anything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    "pipx": frozenset({"--spec", "--python"}),
    **dict.fromkeys(("conda", "mamba", "micromamba"), frozenset({"-n", "--name", "-p", "--prefix", "--cwd"})),
    "doas": frozenset({"-u"}),
    "runuser": frozenset({"-u", "--user", "-g"}),
    "gosu": frozenset(),
    "su-exec": frozenset(),
    "uv": frozenset(
        {"--with", "--project", "--directory", "--python", "-p", "--extra", "--group", "--env-file"}
    ),
    "uvx": frozenset({"--with", "--from", "--python", "-p"}),
    "tini": frozenset(),
    "dumb-init": frozenset(),
}
# `uv run dbt`: the word `run` is theirs.
_RUNNERS = frozenset({"poetry", "pipenv", "pdm", "hatch", "uv", "pipx", "conda", "mamba", "micromamba"})
_TAKES_WORD = frozenset({"timeout", "gosu", "su-exec"})  # a duration, a user: before the program
# Programs that run elsewhere, or as something else, what they are fed.
FED = frozenset({"ssh", "kubectl", "docker", "podman", "su", "sudo", "python", "python3", "xargs"})
_CONTAINERS = frozenset({"docker", "docker-compose", "podman", "kubectl"})
_CONTAINER_FLAGS = frozenset(
    {
        *("--rm", "-i", "-t", "-it", "-ti", "-d", "--detach", "--init", "--privileged", "--interactive"),
        *("--tty", "-T", "--no-deps", "--stdin", "--no-TTY", "--read-only"),
    }
)
# dbt's own images start `dbt`: the command of such a container begins with dbt's sub-command.
DBT_IMAGES = ("ghcr.io/dbt-labs/dbt", "fishtownanalytics/dbt", "xemuliam/dbt")
_PYTHON_OPTIONS = frozenset({"-W", "-X"})
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
    if name.startswith("python") and (module := _module(arguments)):
        if module[0] in _DBT_MODULES:
            return Program(ProgramKind.DBT, module[1:], set_env=set_env)
        return Program(ProgramKind.OTHER)
    if name == "su" and "-c" in arguments[:-1]:
        return Program(ProgramKind.SHELL, arguments[arguments.index("-c") :], set_env=set_env)
    if name in _CONTAINERS and (inside := _in_container(name, arguments, holes)):
        return replace(inside, set_env=(*set_env, *inside.set_env))
    if name in SHELLS:
        if shell_script(arguments) is not None:
            return Program(ProgramKind.SHELL, arguments, set_env=set_env)
        return _hidden(rest, holes, set_env)
    if name in _HARMLESS:
        return Program(ProgramKind.OTHER)
    return _hidden(rest, holes, set_env)


def _hidden(words: Sequence[str], holes: Holes, env: tuple[tuple[str, str], ...]) -> Program:
    """A program that is neither dbt nor harmless: opaque if it carries dbt's name, else none of our business."""
    if any("dbt" in holes.restore(word).lower() for word in words):
        said = holes.restore(" ".join(words))
        return Program(ProgramKind.OPAQUE, tuple(words), f"what `{said}` runs cannot be seen", env)
    return Program(ProgramKind.OTHER)


def _module(arguments: Sequence[str]) -> tuple[str, ...]:
    """The words behind `python -m`, whatever other options there are."""
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c", "-"):
        rest = rest[2 if rest[0] in _PYTHON_OPTIONS else 1 :]
    return tuple(rest[1:]) if rest[:1] == ["-m"] else ()


def _in_container(name: str, words: Sequence[str], holes: Holes) -> Program | None:
    """What `docker run` or `kubectl exec` starts; None if it starts nothing."""
    verb = next((n for n, word in enumerate(words) if word in ("run", "exec")), None)
    if verb is None:
        return None
    rest, env, entrypoint = list(words[verb + 1 :]), {}, ""
    if name == "kubectl":
        rest = rest[rest.index("--") :] if "--" in rest else []
    while name != "kubectl" and rest and rest[0].startswith("-"):
        option, has_value, value = rest[0].partition("=")
        takes = not has_value and option not in _CONTAINER_FLAGS
        value = rest[1] if takes and len(rest) > 1 else value
        rest = rest[2 if takes else 1 :]
        if option in ("-e", "--env"):
            key, given, text = value.partition("=")
            env.update({key: text} if given else {})
        entrypoint = value if option == "--entrypoint" else entrypoint
    image, command = (rest[0] if rest else ""), rest[1:]
    if entrypoint:
        command = [entrypoint, *command]
    elif command and command[0] in DBT_COMMANDS:
        if image.startswith(DBT_IMAGES) or image == "dbt":
            return Program(ProgramKind.DBT, tuple(command), set_env=tuple(env.items()))
        said = holes.restore(" ".join(command))
        return Program(ProgramKind.OPAQUE, tuple(command), f"the image {image} decides what `{said}` starts")
    elif not command and "dbt" in image:
        return Program(ProgramKind.OPAQUE, (), f"the image {image} decides what it starts")
    inside = what_runs(command, holes)
    return replace(inside, set_env=(*env.items(), *inside.set_env))


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
    if name == "uv" and rest[:2] == ["tool", "run"]:
        name, rest = "uvx", rest[2:]
        takes = _PREFIXES[name]
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
        elif name in _TAKES_WORD:
            rest, name = rest[1:], "taken"
        elif not runs and word in ("run", "exec"):
            runs, rest = True, rest[1:]
        else:
            break
    return rest if runs else []


def _base(word: str) -> str:
    return word.rpartition("/")[2]
