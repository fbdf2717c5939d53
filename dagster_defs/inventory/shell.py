"""What a shell script would run, and what happens to it when one of its dbt calls fails.

The script is walked as a shell would run it, without running anything: every program is assumed to succeed except the
dbt call that is made to fail. If a condition is not known, both branches are walked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dagster_defs.inventory.builtins import set_options
from dagster_defs.inventory.calls import ShellCall, SideCommand
from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.sides import Walked, sides_of
from dagster_defs.inventory.syntax import parse
from dagster_defs.inventory.walk import Path
from dagster_defs.inventory.words import Scope

_MOST_PATHS, _MOST_CALLS = 32, 200


@dataclass(frozen=True, slots=True)
class ShellReading:
    """`masked` calls can fail although the script exits with 0; `skipping` ones make it exit with 99, which Airflow
    takes for "skipped"; `conditional` ones are not on every path. `unreadable`: part of the script is not shell text,
    or it runs for longer than it is followed."""

    calls: tuple[ShellCall, ...]
    masked: frozenset[tuple[object, ...]]
    skipping: frozenset[tuple[object, ...]]
    conditional: frozenset[tuple[object, ...]]
    unreadable: bool
    unseen: tuple[str, ...] = ()
    sides: tuple[SideCommand, ...] = ()


def read_script(
    script: str,
    holes: Holes,
    *,
    env: Mapping[str, str] | None = None,
    cwd: str = "",
    options: str = "",
    arguments: Sequence[str] = (),
) -> ShellReading:
    """`options` are those of the shell itself (`bash -eo pipefail -c`), `arguments` are the script's `$1`, `$2`, ...
    (without `$0`)."""
    tree = parse(script)
    cut: list[bool] = []
    unseen: dict[str, None] = {}

    def walk(failing: frozenset[tuple[object, ...]]) -> list[Walked]:
        paths: list[Walked] = []
        plan: list[bool] = []
        while len(paths) < _MOST_PATHS:
            path = Path(holes, plan, failing)
            scope = Scope(dict(env or {}), set(env or {}), tuple(arguments), cwd=cwd)
            set_options(options.split(), scope)
            status = path.run(tree, scope)
            paths.append(Walked(path.calls, path.sides, status))
            cut.append(path.cut)
            unseen.update(dict.fromkeys(path.unseen))
            plan = path.taken
            while plan and not plan[-1]:
                plan.pop()
            if not plan:
                return paths
            plan = [*plan[:-1], False]
        return paths

    good = walk(frozenset())
    # A path that gives up early says nothing about what a successful run leaves out.
    succeeding = [path for path in good if path.status == 0] or good
    every_path = [{call.key for call in path.calls} for path in succeeding]
    calls = {call.key: call for path in good for call in path.calls}
    usual = set(calls)
    masked: set[tuple[object, ...]] = set()
    skipping: set[tuple[object, ...]] = set()
    pending = list(calls)
    while pending and len(calls) < _MOST_CALLS:
        key = pending.pop(0)
        # A call that only a failure leads to is a second try: it is assumed to fail as well.
        fallbacks = frozenset(known for known in calls if known not in usual)
        for failed in walk(frozenset({key}) | fallbacks):
            seen, status = failed.calls, failed.status
            reached = key in {call.key for call in seen}
            new = [call for call in seen if call.key not in calls]
            calls.update({call.key: call for call in new})
            pending.extend(call.key for call in new)
            if new:
                pending.append(key)
                break
            if reached and status in (0, 99):
                (masked if status == 0 else skipping).add(key)
    return ShellReading(
        tuple(sorted(calls.values(), key=lambda call: call.site)),
        frozenset(masked),
        frozenset(skipping),
        frozenset(key for key in calls if not all(key in path for path in every_path)),
        tree.has_error or any(cut),
        tuple(unseen),
        tuple(sides_of(succeeding, walk, holes)) if usual else (),
    )
