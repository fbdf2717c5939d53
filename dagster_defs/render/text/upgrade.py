"""Two inventories of the same DAGs beside each other: what an upgrade of Airflow changes, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from dagster_defs.inventory.document import Dag
from dagster_defs.inventory.shifts import Change, Move, Run
from dagster_defs.inventory.upgrade import Agreement, ComparedDag, ComparedTask, Upgrade
from dagster_defs.render.text.base import PlainText, out
from dagster_defs.windows import OccasionKind

__all__ = ["print_upgrade", "upgrade_json"]

MOST_SHOWN = 200  # characters of a rendered text


def print_upgrade(upgrade: Upgrade) -> None:
    """A paragraph for each DAG that differs or could not be compared, and one line about all."""
    before, after = upgrade.before.airflow_version, upgrade.after.airflow_version
    for names, version in ((upgrade.only_before, after), (upgrade.only_after, before)):
        for name in names:
            _line("missing", f"DAG {name} is not in the inventory of Airflow {version}")
    for file, error in upgrade.errors.items():
        _line("error", f"{file} no longer loads: {error}")
    for dag in upgrade.dags:
        if dag.differs or not dag.is_whole:
            out.print(PlainText(dag.dag_id, style="bold"))
            for sentence in sentences(dag, before, after):
                out.print(PlainText(f"  - {sentence}"), soft_wrap=True)
    differing = sum(dag.differs for dag in upgrade.dags)
    compared = sum(dag.compared for dag in upgrade.dags)
    moving = sum(move.runs for dag in upgrade.dags for move in dag.moves)
    out.print(
        f"Airflow {before} → {after}: {differing} of {len(upgrade.dags)} DAGs differ; {compared:,} runs compared, "
        f"{moving:,} with another logical date{_not_compared(upgrade)}"
    )


def _not_compared(upgrade: Upgrade) -> str:
    if upgrade.is_whole:
        return ""
    dags, tasks = upgrade.unknown_dags, upgrade.undetermined_tasks
    counted = [
        f"{many:,} {what}{'' if many == 1 else 's'}"
        for many, what in ((dags, "DAG"), (tasks, "task"))
        if many
    ]
    return f"; not compared: {', '.join(counted)}"


def _line(word: str, text: str) -> None:
    out.print(PlainText(word, style="bold red").append(f" {text}", "default"), soft_wrap=True)


def sentences(dag: ComparedDag, before: str, after: str) -> Iterator[str]:
    """What differs in a DAG; `before` and `after` are the versions of Airflow."""
    if dag.unknown:
        yield f"its runs are not compared: {dag.unknown}"
    if dag.kind_changes:
        yield _of_the_kind(dag)
    for move in dag.moves:
        yield _of_the_move(move, dag.compared)
    if dag.other_intervals:
        yield f"{_runs(dag.other_intervals)} with the same logical date have another data interval"
    for runs, what in ((dag.vanished, "vanish"), (dag.added, "are new")):
        if runs:
            yield f"{_runs(len(runs))} {what}, the first due {_at(runs[0].due)} with ds {runs[0].ds}"
    if dag.change:
        yield from _of_the_change(dag.change, before, after)
    if dag.keys_differ:
        yield f"{dag.keys_differ} partition keys are only in one of the two"
    if dag.before.catchup is not dag.after.catchup:
        now = "on" if dag.after.catchup else "off"
        yield f"catchup is {now} in Airflow {after}" + (
            ": periods in which the DAG or Airflow stood still are not run later" if now == "off" else ""
        )
    for names, version in ((dag.only_before, after), (dag.only_after, before)):
        if names:
            yield f"not in Airflow {version}: {', '.join(names)}"
    for task in dag.tasks:
        if task.agreement is not Agreement.SAME:
            yield _of_the_task(task)


def _of_the_kind(dag: ComparedDag) -> str:
    first, second = dag.before.schedule, dag.after.schedule
    were, are = (
        each.occasion.in_words if each.occasion else "intervals with and without a length"
        for each in (first, second)
    )
    sentence = f"its runs were about {were} and are about {are}: {first.in_words} → {second.in_words}"
    if second.occasion is OccasionKind.TICK and first.occasion is OccasionKind.WINDOW:
        sentence += "; a command that reads from data_interval_start to data_interval_end now reads nothing"
    return sentence


def _of_the_move(move: Move, compared: int) -> str:
    what = "ds" if move.ds_moves == move.runs else "logical date"
    who = f"every {what} moves" if move.runs == compared else f"the {what} of {_runs(move.runs)} moves"
    some = f", and ds with it in {move.ds_moves:,}" if 0 < move.ds_moves < move.runs else ""
    shown = (
        (move.before.ds, move.after.ds)
        if move.before.ds != move.after.ds
        else (_at(move.before.start), _at(move.after.start))
    )
    return (
        f"{who} {move.by} ({move.runs:,} of {compared:,} runs{some}): the run due {_at(move.before.due)} had "
        f"{shown[0]} and has {shown[1]}"
    )


def _of_the_change(change: Change, before: str, after: str) -> Iterator[str]:
    begin = f"if Airflow {after} takes over after the run due {_at(change.last.due)}"
    for dates, what in (
        (change.never_run, "is never run"),
        (change.twice, "has been run already when its turn comes"),
    ):
        if dates:
            more = f", and {len(dates) - 1:,} more" if len(dates) > 1 else ""
            yield f"{begin}, {_date(dates[0])} {what}{more}; the next run is due {_at(change.next.due)}"
    for run in change.skipped[:1]:
        yield (
            f"{begin}, it passes over the run due {_at(run.due)}, from {_at(run.start)}; the next one is due "
            f"{_at(change.next.due)}"
        )


def _of_the_task(task: ComparedTask) -> str:
    example = task.example
    shown = (
        f": {example.field} of the run due {_iso_at(example.due)} was {_short(example.before)} and is "
        f"{_short(example.after)}"
        if example
        else ""
    )
    match task.agreement:
        case Agreement.FAILS:
            return f"task {task.task_id} fails: {task.reason}"
        case Agreement.MOVES:
            return (
                f"task {task.task_id} has the same text for the same logical date, and moves with it{shown}"
            )
        case Agreement.DIFFERS:
            return f"task {task.task_id} has another text{shown}"
        case _:
            return f"task {task.task_id} is not compared: {task.reason}"


def _runs(many: int) -> str:
    return "1 run" if many == 1 else f"{many:,} runs"


def _at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def _iso_at(text: str) -> str:
    return f"{text[:10]} {text[11:16]} UTC"


def _date(logical: datetime) -> str:
    """A logical date as its ds, unless the ds may be that of other runs too."""
    return f"logical date {_at(logical)} (ds {logical:%Y-%m-%d})"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"


def upgrade_json(upgrade: Upgrade) -> dict[str, Any]:
    return {
        "schema": "parity/upgrade/1",
        "from": upgrade.before.airflow_version,
        "to": upgrade.after.airflow_version,
        "differs": upgrade.differs,
        "not_compared": {"dags": upgrade.unknown_dags, "tasks": upgrade.undetermined_tasks},
        "only_from": list(upgrade.only_before),
        "only_to": list(upgrade.only_after),
        "import_errors": dict(upgrade.errors),
        "dags": [
            _dag_json(dag, upgrade.before.airflow_version, upgrade.after.airflow_version)
            for dag in upgrade.dags
        ],
    }


def _dag_json(dag: ComparedDag, before: str, after: str) -> dict[str, Any]:
    change = dag.change
    return {
        "dag_id": dag.dag_id,
        "differs": dag.differs,
        "from": _side_json(dag.before),
        "to": _side_json(dag.after),
        "compared": dag.compared,
        "moves": [
            {"by": move.by, "runs": move.runs, "ds_moves": move.ds_moves, "due": move.before.due.isoformat(),
             "from": move.before.start.isoformat(), "to": move.after.start.isoformat()}
            for move in dag.moves
        ],
        "vanished": _due(dag.vanished),
        "added": _due(dag.added),
        "other_intervals": dag.other_intervals,
        "change": None if change is None else {
            "last": change.last.due.isoformat(),
            "next": change.next.due.isoformat(),
            "never_run": [each.isoformat() for each in change.never_run],
            "twice": [each.isoformat() for each in change.twice],
            "skipped": _due(change.skipped),
        },
        "partition_keys_differ": dag.keys_differ,
        "only_from": list(dag.only_before),
        "only_to": list(dag.only_after),
        "tasks": [_task_json(task) for task in dag.tasks],
        "unknown": dag.unknown or None,
        "sentences": list(sentences(dag, before, after)),
    }  # fmt: skip


def _side_json(dag: Dag) -> dict[str, Any]:
    schedule = dag.schedule
    return {
        "schedule": schedule.text,
        "timetable": schedule.timetable,
        "occasion": schedule.occasion.value if schedule.occasion else None,
        "catchup": dag.catchup,
    }


def _due(runs: Sequence[Run]) -> list[str]:
    return [run.due.isoformat() for run in runs]


def _task_json(task: ComparedTask) -> dict[str, Any]:
    example = task.example
    return {
        "task_id": task.task_id,
        "agreement": task.agreement.value,
        "compared": task.compared,
        "example": None
        if example is None
        else {"due": example.due, "field": example.field, "from": example.before, "to": example.after},
        "reason": task.reason or None,
    }
