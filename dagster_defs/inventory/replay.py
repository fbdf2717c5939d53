"""A task's commands as Airflow rendered them, window by window, in a form that can be repeated elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from dagster_defs.errors import NotRehearsable
from dagster_defs.inventory.arguments import place_variables
from dagster_defs.inventory.document import Dag, Sample, Task
from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.pairing import ReadCall, Reading, read_calls
from dagster_defs.inventory.reading import ReadsVariable, read_task, template_context
from dagster_defs.windows import Scheduled

# Commands that write, or test what was written. `deps`, `docs`, `ls`, `source freshness` and so on make no table.
REPLAYED = frozenset({"build", "run", "snapshot", "seed", "test", "run-operation"})

_PLACES = frozenset(
    {"--target", "-t", "--profile", "--profiles-dir", "--project-dir", "--target-path", "--log-path"}
)
_FREE_TEXT = frozenset({"--vars", "--args"})  # the next word is a value, whatever it looks like


@dataclass(frozen=True, slots=True)
class DbtCall:
    """`words` follow `dbt`, except for those that say where it reads and writes; `command` is one of `REPLAYED`.

    `rendered` are the environment variables that Airflow rendered for the window, `literal` those that the DAG file
    fixes. `vars` and `event_time` (`start`, `end`) are what the words say, `vars` typed as dbt reads them. A masked
    call may fail without failing the task.
    """

    command: str
    words: tuple[str, ...]
    literal: Mapping[str, str] = field(default_factory=dict)
    rendered: Mapping[str, str] = field(default_factory=dict)
    vars: Mapping[str, Any] = field(default_factory=dict)
    event_time: Mapping[str, str] = field(default_factory=dict)
    masked: bool = False


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """`name` is the dotted path of the function that the PythonOperator calls."""

    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


def dbt_calls(task: Task, dag: Dag, reads: ReadsVariable) -> dict[Scheduled, tuple[DbtCall, ...]]:
    """The dbt calls of every rendered window, in execution order; `reads`: for their dbt project.

    Raises NotRehearsable if what runs, or with which window, is known only to Airflow.
    """
    unit = f"{task.dag_id}.{task.task_id}"
    try:
        known = read_task(task, dag, reads)
    except Exception as error:  # as everywhere: a unit on which our parsing fails counts as unreadable
        raise NotRehearsable(unit, f"it cannot be read: {type(error).__name__}: {error}") from error
    if not (known.selection_determined and known.window_determined):
        raise NotRehearsable(unit, f"what it runs is not determined: {known.reason}")
    reading = read_calls(task, template_context(task, dag))
    for read in reading.base:
        if read.call.conditional:
            shown = reading.holes.restore(" ".join(read.call.words))
            raise NotRehearsable(unit, f"`dbt {shown}` runs only under a condition that the shell decides")
    if not any(_is_replayed(read) for read in reading.base):
        raise NotRehearsable(unit, "it runs no dbt command that builds or tests anything")
    return {
        sample.window: tuple(_calls(unit, reading, calls))
        for sample, calls in reading.samples
        if sample.window is not None
    }


def function_calls(task: Task) -> dict[Scheduled, FunctionCall]:
    """The call of every rendered window. Raises NotRehearsable if the task calls no function, or calls it with
    arguments that only a real run knows."""
    unit = f"{task.dag_id}.{task.task_id}"
    if not task.callable_name:
        raise NotRehearsable(unit, "Airflow's task calls no Python function")
    return {sample.window: _function(unit, task, sample) for sample in task.samples if sample.window}


def rendered_calls(
    task: Task,
) -> dict[Scheduled, list[tuple[Mapping[str, Any], Mapping[str, str], Mapping[str, str]]]]:
    """Variables, event times and environment of the dbt calls of every rendered window, as far as they can be read."""
    try:
        reading = read_calls(task, None)
    except Exception:  # as everywhere: a unit on which our parsing fails counts as unreadable
        return {}
    return {
        sample.window: [
            (*_values(read), _known_environment(read, reading.holes))
            for read in calls
            if _is_replayed(read) and read.arguments is not None
        ]
        for sample, calls in reading.samples
        if sample.window is not None
    }


def calls_of_run(task: Task, fields: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Mapping[str, str]]]:
    """Variables and event times of the dbt calls of one run without a window, as far as they can be read."""
    sample = Sample("", "", fields)
    try:
        reading = read_calls(replace(task, samples=(sample,)), None)
    except Exception:  # as everywhere: a unit on which our parsing fails counts as unreadable
        return []
    return [
        _values(read)
        for _, calls in reading.samples
        for read in calls
        if _is_replayed(read) and read.arguments is not None
    ]


def without_places(words: Sequence[str]) -> tuple[str, ...]:
    """dbt's words without the options that say where it reads its project and profile, and where it writes."""
    return tuple(_without_places(words))


def _without_places(words: Sequence[str]) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        option, equals, _ = word.partition("=")
        if option in _PLACES:
            if not equals:
                next(rest, None)
        elif not word.startswith("-t"):  # -tprod: the only short option that starts this way
            yield word
            if word in _FREE_TEXT:
                yield from islice(rest, 1)


def _is_replayed(read: ReadCall) -> bool:
    return read.arguments is not None and read.arguments.command in REPLAYED


def _calls(unit: str, reading: Reading, calls: Sequence[ReadCall]) -> Iterator[DbtCall]:
    holes = reading.holes
    for number, read in enumerate(calls):
        if not _is_replayed(read):
            continue
        words = without_places(read.call.words)
        if unknown := [hole.text for word in words for hole in holes.in_text(word)]:
            raise NotRehearsable(unit, f"{', '.join(unknown)} is known only where the task runs")
        raw = reading.raw_of(number)
        written = raw.call.env if raw else {}
        # What is masked, or comes from the surrounding shell, is taken from this machine.
        env = _known_environment(read, holes)
        literal = {name: value for name, value in env.items() if written.get(name) == value}
        rendered = {name: value for name, value in env.items() if name not in literal}
        variables, event_time = _values(read)
        yield DbtCall(read.shape, words, literal, rendered, variables, event_time, read.call.masked)


def _known_environment(read: ReadCall, holes: Holes) -> dict[str, str]:
    env = read.call.env.items()
    return {name: value for name, value in env if name not in place_variables() and not holes.in_text(value)}


def _values(read: ReadCall) -> tuple[dict[str, Any], dict[str, str]]:
    arguments = read.arguments
    assert arguments is not None  # noqa: S101 - only calls that were read are replayed
    ends = {"start": arguments.event_start, "end": arguments.event_end}
    variables = {str(name): value for name, value in (arguments.vars or {}).items()}
    return variables, {end: value for end, value in ends.items() if value is not None}


def _function(unit: str, task: Task, sample: Sample) -> FunctionCall:
    for name, why in sample.needs.items():
        if name.startswith(("op_args", "op_kwargs")):
            raise NotRehearsable(unit, f"its `{name}` are known only while it runs: {why}")
    fields = sample.fields
    return FunctionCall(
        task.callable_name, tuple(fields.get("op_args") or ()), dict(fields.get("op_kwargs") or {})
    )
