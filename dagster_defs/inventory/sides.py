"""What a script runs beside dbt, and whether a mirror can run the same before or after its own call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dagster_defs.inventory.arguments import place_variables
from dagster_defs.inventory.calls import Place, ShellCall, SideCommand, SideUse
from dagster_defs.inventory.holes import HoleKind, Holes
from dagster_defs.inventory.masking import MASK, holds_secret, shown
from dagster_defs.inventory.programs import ProgramKind, only_prepares, shown_words

_SECRET = "it holds what looks like a secret"  # noqa: S105 - the reason, not a secret
_DBTS_FOLDERS = ("target/", "./target/", "logs/", "./logs/")


@dataclass(frozen=True, slots=True)
class Walked:
    """One walk through a script; `status` is None if it never ends."""

    calls: Sequence[ShellCall]
    sides: Sequence[SideUse]
    status: int | None


Walk = Callable[[frozenset[tuple[object, ...]]], Sequence[Walked]]


def sides_of(succeeding: Sequence[Walked], walk: Walk, holes: Holes) -> Iterator[SideCommand]:
    """In the script's order. `walk`: the walks on which calls or programs with these keys fail."""
    found = {side.key: side for path in succeeding for side in path.sides}
    for key, side in sorted(found.items(), key=lambda item: item[1].site):
        paths = [path for path in succeeding if any(each.key == key for each in path.sides)]
        place = _place(key, paths)
        failing = walk(frozenset({key}))
        goes_on = {
            (bool(_counted(path.calls)) or place is not Place.BEFORE, path.status == 0) for path in failing
        }
        may_fail = goes_on == {(True, True)}
        why_not = _why_not(side, place, succeeding, paths, walk, holes)
        if place is Place.BEFORE and (True, False) in goes_on:
            why_not = why_not or "its failure fails the task, but only after dbt has run"
        said = side.said or shown_words(side.words[:1] if why_not == _SECRET else side.words, holes)
        env = {name: value for name, value in side.env.items() if name not in place_variables()}
        yield SideCommand(place, side.words, env, said, may_fail, why_not)


def _place(key: tuple[object, ...], paths: Sequence[Walked]) -> Place:
    at = {
        (not _counted(path.calls[: side.calls]), not _counted(path.calls[side.calls :]))
        for path in paths
        for side in path.sides
        if side.key == key
    }
    if at == {(True, False)}:
        return Place.BEFORE
    return Place.AFTER if at == {(False, True)} else Place.BETWEEN


def _counted(calls: Sequence[ShellCall]) -> Sequence[ShellCall]:
    """The calls that a mirror has: `dbt deps` and its kin only prepare them."""
    return [
        call
        for call in calls
        if call.program.kind is not ProgramKind.DBT or not only_prepares(call.program.arguments)
    ]


def _why_not(
    side: SideUse,
    place: Place,
    succeeding: Sequence[Walked],
    paths: Sequence[Walked],
    walk: Walk,
    holes: Holes,
) -> str:
    if place is Place.BETWEEN:
        return "it runs between two calls of dbt"
    if len(paths) < len(succeeding) or any(
        sum(each.key == side.key for each in path.sides) != 1 for path in paths
    ):
        return "it runs under a condition, or several times"
    if side.apart:
        return "it is part of a pipeline, a substitution or a redirection"
    if side.cwd and any(_folder(call) != side.cwd for path in paths for call in _counted(path.calls)):
        return "it runs in another folder than dbt"
    if place is Place.AFTER and _runs_after_failure(side, paths, walk):
        return "it runs after a failure of dbt too"
    return _why_not_words(side, holes)


def _folder(call: ShellCall) -> str:
    """The dbt project of a call, as far as its words say: a mirror's programs begin there."""
    words = call.program.arguments
    for number, word in enumerate(words):
        name, is_joined, value = word.partition("=")
        if name == "--project-dir":
            return value if is_joined else "".join(words[number + 1 : number + 2])
    return call.env.get("DBT_PROJECT_DIR") or call.cwd


def _runs_after_failure(side: SideUse, paths: Sequence[Walked], walk: Walk) -> bool:
    last = {(_counted(path.calls) or path.calls)[-1].key for path in paths}
    return any(each.key == side.key for key in last for path in walk(frozenset({key})) for each in path.sides)


def _why_not_words(side: SideUse, holes: Holes) -> str:
    texts = [*side.words, *side.env.values()]
    for hole in (hole for text in texts for hole in holes.in_text(text)):
        if hole.kind is not HoleKind.TEMPLATE:
            return f"{hole.text} is known only where the task runs"
    env = {name: holes.restore(value) for name, value in side.env.items() if name not in place_variables()}
    if any(holds_secret(holes.restore(word)) for word in side.words) or any(
        holds_secret(text) or shown(name, text) == MASK for name, text in env.items()
    ):
        return _SECRET
    if any(part.startswith(_DBTS_FOLDERS) for word in side.words for part in (word, word.partition("=")[2])):
        return "it reads a folder that dbt writes, and a mirror's dbt writes elsewhere"
    return ""
