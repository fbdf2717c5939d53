"""What a shell does itself, without starting a program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from dagster_defs.inventory.calls import Break, Continue, Exit, Return
from dagster_defs.inventory.words import Scope


class Shell(Protocol):
    """`traps` are the texts that run at `EXIT` or after an `ERR`."""

    traps: dict[str, str]

    def choose(self) -> bool:
        """Which branch to take if a condition is not known."""
        ...


def set_options(words: Iterable[str], scope: Scope) -> None:
    """As accepted by `set` and `bash`: `-e`, `+e`, `-euo pipefail`, `-o errexit`."""
    pending = list(words)
    while pending:
        word = pending.pop(0)
        on = word.startswith("-")
        if not on and not word.startswith("+"):
            continue
        letters = word[1:]
        if "e" in letters and not letters.startswith("-"):
            scope.errexit = on
        if letters.endswith("o") and pending:
            named = pending.pop(0)
            scope.pipefail = on if named == "pipefail" else scope.pipefail
            scope.errexit = on if named == "errexit" else scope.errexit


def _cd(shell: Shell, words: Sequence[str], scope: Scope) -> None:
    where = words[-1] if words else "~"
    scope.cwd = where if where.startswith(("/", "~")) or not scope.cwd else f"{scope.cwd}/{where}"
    scope.status = 0


def _set(shell: Shell, words: Sequence[str], scope: Scope) -> None:
    set_options(words, scope)
    scope.status = 0


def _end(shell: Shell, words: Sequence[str], scope: Scope) -> None:
    raise Exit(_status(shell, words, scope))


def _end_function(shell: Shell, words: Sequence[str], scope: Scope) -> None:
    raise Return(_status(shell, words, scope))


def _status(shell: Shell, words: Sequence[str], scope: Scope) -> int:
    if not words:
        return scope.status
    if words[0].isdigit():
        return int(words[0]) % 256
    # An unknown status: it may be that of a failed job, or 0.
    return 1 if shell.choose() else 0


def _wait(shell: Shell, words: Sequence[str], scope: Scope) -> None:
    """`wait` alone forgets how its jobs ended; `wait $pid` has the status of that job."""
    asked = [word for word in words if not word.startswith("-")]
    if not words:
        scope.status = 0
    elif asked and asked[-1] in scope.jobs:
        scope.status = scope.jobs[asked[-1]]
    else:
        scope.status = _status(shell, ["?"], scope) if any(scope.jobs.values()) else 0


def _trap(shell: Shell, words: Sequence[str], scope: Scope) -> None:
    action, *signals = [word for word in words if word != "--"] or [""]
    for signal in signals:
        name = {"0": "EXIT"}.get(signal, signal.upper().removeprefix("SIG"))
        shell.traps[name] = "" if action == "-" else action
    scope.status = 0


def _read(shell: Shell, words: Sequence[str], scope: Scope) -> None:
    for word in words:
        scope.variables.pop(word, None)
    scope.status = 0


def _break(shell: Shell, words: Sequence[str], scope: Scope) -> None:
    scope.status = 0
    raise Break


def _continue(shell: Shell, words: Sequence[str], scope: Scope) -> None:
    scope.status = 0
    raise Continue


def _true(shell: Shell, words: Sequence[str], scope: Scope) -> None:
    scope.status = 0


def _false(shell: Shell, words: Sequence[str], scope: Scope) -> None:
    scope.status = 1


def _shift(shell: Shell, words: Sequence[str], scope: Scope) -> None:
    scope.positional = scope.positional[int(words[0]) if words and words[0].isdigit() else 1 :]
    scope.status = 0


BUILTINS: dict[str, Callable[[Shell, Sequence[str], Scope], None]] = {
    "cd": _cd,
    "pushd": _cd,
    "set": _set,
    "exit": _end,
    "return": _end_function,
    "break": _break,
    "continue": _continue,
    "true": _true,
    ":": _true,
    "false": _false,
    "shift": _shift,
    "wait": _wait,
    "trap": _trap,
    "read": _read,
}
