"""Which program a list of words starts: dbt, a shell, a program that hides a call of dbt, one that is not seen through,
or one that is known not to run dbt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dagster_defs.inventory.callables import calls_in
from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.knowledge import module_runs_no_dbt, runs_no_dbt
from dagster_defs.inventory.python_values import Invoked, PythonCall, names_dbt
from dagster_defs.inventory.team import DBT_IMAGES
from dagster_defs.older_python import StrEnum

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

_DBT = frozenset({"dbt", "dbt-ol"})  # dbt-ol is OpenLineage's and takes dbt's own arguments
_DBT_MODULES = frozenset({"dbt", "dbt.cli.main"})
# Prefixes of the actual program, and their options that take a value.
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
# `uv run dbt`: the word `run` belongs to these.
_RUNNERS = frozenset({"poetry", "pipenv", "pdm", "hatch", "uv", "pipx", "conda", "mamba", "micromamba"})
_TAKES_WORD = frozenset({"timeout", "gosu", "su-exec"})  # a duration or a user, before the program
# Programs that run what they are fed elsewhere, or as something else.
FED = frozenset({"ssh", "kubectl", "docker", "podman", "su", "sudo", "python", "python3", "xargs"})
_CONTAINERS = frozenset({"docker", "docker-compose", "podman", "kubectl"})
_CONTAINER_FLAGS = frozenset(
    {
        *("--rm", "-i", "-t", "-it", "-ti", "-d", "--detach", "--init", "--privileged", "--interactive"),
        *("--tty", "-T", "--no-deps", "--stdin", "--no-TTY", "--read-only"),
    }
)
_PYTHON_OPTIONS = frozenset({"-W", "-X"})
# A dbt call inside a text that something else runs: `cd /app && dbt --quiet run`.
_DBT_CALL = re.compile(
    rf"(?<![\w.-])dbt(-ol)?\s+(-\S+(\s+[^\s-]\S*)?\s+)*?({'|'.join(sorted(DBT_COMMANDS))})(?![\w-])"
)
_LONGEST = 80  # how much is shown of a command that is not seen through
_XARGS_TAKES = frozenset({"-n", "-P", "-I", "-L", "-d", "-a", "-s", "-E"})


class ProgramKind(StrEnum):
    """`OPAQUE` calls dbt but hides what it runs; `UNSEEN` may or may not run dbt; `OTHER` is known not to."""

    DBT = "dbt"
    SHELL = "shell"
    OPAQUE = "opaque"
    UNSEEN = "unseen"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Program:
    """`arguments` are the words after the program; for one that is known not to run dbt, they begin with its name.
    `reason` says what hides an opaque one, and names an unseen one."""

    kind: ProgramKind
    arguments: tuple[str, ...] = ()
    reason: str = ""
    set_env: tuple[tuple[str, str], ...] = ()

    @property
    def env(self) -> dict[str, str]:
        return dict(self.set_env)


@dataclass(frozen=True, slots=True)
class Script:
    """What `bash -eo pipefail -c TEXT NAME ARGUMENTS` was given; `options` as words."""

    text: str
    options: str
    arguments: tuple[str, ...]


# Sub-commands that only accompany the calls that a task is about; the empty one is `dbt --version`.
_PREPARING = frozenset(
    {"", "clean", "compile", "debug", "deps", "docs", "init", "list", "ls", "parse", "show"}
)


def only_prepares(words: Sequence[str]) -> bool:
    """Whether a dbt call with these arguments certainly touches no node of a project."""
    return next((word for word in words if word in DBT_COMMANDS), "") in _PREPARING


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
    name, arguments = _base(rest[0]), tuple(rest[1:])
    set_env = tuple(env.items())
    if holes_in_name := holes.in_text(name):
        spoken = holes.restore(" ".join(rest))
        if not (names_dbt(spoken) or DBT_COMMANDS.intersection(arguments) or "*" in holes_in_name[0].text):
            return _not_seen(rest, holes, set_env)
        return Program(
            ProgramKind.OPAQUE, arguments, f"the command comes from {holes_in_name[0].text}", set_env
        )
    if name in _DBT:
        return Program(ProgramKind.DBT, arguments, set_env=set_env)
    if name.startswith("python") and (module := _module(arguments)) and module[0] in _DBT_MODULES:
        return Program(ProgramKind.DBT, module[1:], set_env=set_env)
    if name == "su" and "-c" in arguments[:-1]:
        return Program(ProgramKind.SHELL, arguments[arguments.index("-c") :], set_env=set_env)
    if name in _CONTAINERS and (inside := _in_container(name, arguments, holes)):
        return replace(inside, set_env=(*set_env, *inside.set_env))
    if name in SHELLS and shell_script(arguments) is not None:
        return Program(ProgramKind.SHELL, arguments, set_env=set_env)
    if name in ("xargs", "find") and (started := _started_by(name, arguments)):
        inside = what_runs(started, holes)
        if inside.kind is ProgramKind.OTHER:
            return inside
        if inside.kind is ProgramKind.DBT:
            return Program(
                ProgramKind.OPAQUE, arguments, f"what {shown_words(rest, holes)} runs cannot be seen", set_env
            )
    elif _is_harmless(name, arguments, holes):
        return Program(ProgramKind.OTHER, tuple(rest), set_env=set_env)
    return _not_seen(rest, holes, set_env)


def _is_harmless(name: str, arguments: Sequence[str], holes: Holes) -> bool:
    if name.startswith("python"):
        module = _module(arguments)
        return tuple(arguments) in (("-V",), ("--version",)) or bool(module and module_runs_no_dbt(module[0]))
    return runs_no_dbt(name, [holes.restore(word) for word in arguments])


def _not_seen(words: Sequence[str], holes: Holes, env: tuple[tuple[str, str], ...]) -> Program:
    """Opaque if a dbt call is among the words; the names of the program and its files say nothing."""
    shown = shown_words(words, holes)
    if _calls_dbt([holes.restore(word) for word in words]):
        return Program(ProgramKind.OPAQUE, tuple(words), f"what {shown} runs cannot be seen", env)
    return Program(ProgramKind.UNSEEN, tuple(words), shown, env)


def shown_words(words: Sequence[str], holes: Holes) -> str:
    """A command for messages: on one line, in backticks, and cut."""
    text = " ".join(holes.restore(" ".join(words)).split())
    return f"`{text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}`"


def _calls_dbt(words: Sequence[str]) -> bool:
    for number, word in enumerate(words):
        after = next((other for other in words[number + 1 :] if not other.startswith("-")), "")
        if (_base(word) in _DBT or word in _DBT_MODULES) and after in DBT_COMMANDS:
            return True
    name = _base(words[0])
    if name.startswith("python"):
        return "-c" in words[:-1] and python_calls_dbt(words[words.index("-c") + 1])
    # A script of the team's own may merely mention dbt ("dbt run failed"); a tool runs the text that it is given.
    is_tool = name == words[0] and "." not in name and name not in SHELLS
    return is_tool and any(map(speaks_of_dbt_call, words))


def speaks_of_dbt_call(text: str) -> bool:
    """Whether a shell that is given this text would call dbt."""
    return _DBT_CALL.search(text) is not None


def python_calls_dbt(code: str) -> bool:
    visible = calls_in(code, {}, Holes())
    return visible.hidden or any(_visible_dbt(call) for call in visible.calls)


def _visible_dbt(call: PythonCall | Invoked) -> bool:
    if isinstance(call, Invoked):
        return True
    return speaks_of_dbt_call(" ".join(call.words) if call.script is None else call.script)


def _started_by(name: str, words: Sequence[str]) -> list[str]:
    """The program that `xargs` or `find -exec` starts, with its words; empty if there is none."""
    rest = list(words)
    if name == "find":
        at = next(
            (n for n, word in enumerate(rest) if word in ("-exec", "-execdir", "-ok", "-okdir")), len(rest)
        )
        return rest[at + 1 :]
    while rest and rest[0].startswith("-"):
        rest = rest[2 if rest[0] in _XARGS_TAKES else 1 :]
    return rest


def _module(arguments: Sequence[str]) -> tuple[str, ...]:
    """The words after `python -m`, whatever other options there are."""
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c", "-"):
        rest = rest[2 if rest[0] in _PYTHON_OPTIONS else 1 :]
    return tuple(rest[1:]) if rest[:1] == ["-m"] else ()


def _in_container(name: str, words: Sequence[str], holes: Holes) -> Program | None:
    """What `docker run` or `kubectl exec` starts; None if its words do not say."""
    verb = next((n for n, word in enumerate(words) if word in ("run", "exec")), None)
    if verb is None or runs_no_dbt(name, words):
        return None
    rest, env, entrypoint = list(words[verb + 1 :]), {}, ""
    if name == "kubectl":
        if "--" not in rest:
            return None
        rest = rest[rest.index("--") :]
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
    elif command and command[0] in DBT_COMMANDS and words[verb] == "run" and name != "kubectl":
        if image.startswith(DBT_IMAGES) or image == "dbt":
            return Program(ProgramKind.DBT, tuple(command), set_env=tuple(env.items()))
        shown = holes.restore(" ".join(command))
        return Program(ProgramKind.OPAQUE, tuple(command), f"the image {image} decides what `{shown}` starts")
    elif not command:
        return None
    inside = what_runs(command, holes)
    return replace(inside, set_env=(*env.items(), *inside.set_env))


def shell_script(arguments: Sequence[str]) -> Script | None:
    """The text after `-c`, also in `-lc` or `-eo pipefail -c`; None if the shell is given a file."""
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
    return [] if not runs and runs_no_dbt(name, words[1:]) else rest


def _base(word: str) -> str:
    return word.rpartition("/")[2]
