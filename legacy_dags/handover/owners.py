"""Whose a task's windows are, asked when the task executes.

Only what is fresh when it is read may decide. A folder is fresh if it is one folder, which the moves write and this
worker reads; a copy of it is not. A Variable is a row of Airflow's database, which every worker sees at once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from airflow.exceptions import AirflowException

from handover.facts import facts
from handover.marks import Marks, marks_of_text, read_marks

# Either one says that moves write this folder; a mount that has failed has neither.
LEDGER, SET_UP = "ledger.jsonl", ".parity-marks"
# The Variable that says so of Variables; the marks of a DAG are in `parity_marks__<dag>`.
VARIABLE = "parity_marks"
CHANNELS = (FILE, OF_VARIABLES) = ("file", "variable")


@dataclass(frozen=True)
class Answer:
    """`proxied`: the windows are Dagster's. `position`: of the mark that says so; empty without a mark, or for a mark
    that was written by hand."""

    proxied: bool
    position: str = ""


class OwnerUnknown(AirflowException):  # type: ignore[misc]  # Airflow is not installed here
    """Nobody could say whose the window is, so nothing was run."""


def proxied_state() -> Path:
    """The folder of the marks, looked up whenever it is read."""
    return Path(
        os.environ.get("PARITY_PROXIED_STATE") or Path(__file__).resolve().parents[1] / "proxied_state"
    )


def ask(dag_id: str, task_id: str) -> Answer:
    """Raises OwnerUnknown, with what to do, if the marks are not where PARITY_CHANNEL says, or not clear."""
    return answer_of(marks_of(dag_id), dag_id, task_id)


def answer_of(marks: Marks, dag_id: str, task_id: str) -> Answer:
    """Raises OwnerUnknown for a mark in doubt."""
    if problem := marks.problem_of(task_id):
        raise OwnerUnknown(f"{problem}. Correct the mark: parity resume {dag_id}.{task_id}")
    position = marks.positions.get(task_id)
    return Answer(marks.honoured(task_id), "" if position is None else str(position))


def channel() -> str:
    return os.environ.get("PARITY_CHANNEL") or FILE


def marks_of(dag_id: str) -> Marks:
    """Raises OwnerUnknown if nothing tells that these are the marks that moves write."""
    if channel() == FILE:
        return _in_folder(proxied_state(), dag_id)
    if channel() == OF_VARIABLES:
        return _in_variable(dag_id)
    raise OwnerUnknown(f"PARITY_CHANNEL is {channel()!r}; it takes {' or '.join(CHANNELS)}")


def _in_folder(folder: Path, dag_id: str) -> Marks:
    try:
        marks = read_marks(folder, dag_id)
        known = bool(marks.files) or any((folder / name).exists() for name in (LEDGER, SET_UP))
    except OSError as error:
        raise OwnerUnknown(f"{folder} cannot be read: {error.strerror or error}") from error
    if not known and not marks.problems:
        raise OwnerUnknown(
            f"{folder} has neither a ledger nor a mark, so it is not known to be the folder that moves write. Set "
            "PARITY_PROXIED_STATE to that folder; if nothing was moved yet, make it: parity store init"
        )
    return marks


def _in_variable(dag_id: str) -> Marks:
    name = f"{VARIABLE}__{dag_id}"
    try:
        is_there, text = facts.variable(name)
        is_set_up = is_there or facts.variable(VARIABLE)[0]
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise OwnerUnknown(f"Airflow's Variables cannot be read: {type(error).__name__}: {reason}") from error
    if not is_set_up:
        raise OwnerUnknown(
            f"there is neither a Variable {VARIABLE} nor {name}, so moves do not write Airflow's Variables. Set "
            "PARITY_CHANNEL as for `parity`; if nothing was moved yet: PARITY_CHANNEL=variable parity store init"
        )
    if is_there and text is None:
        raise OwnerUnknown(f"the Variable {name} cannot be decrypted")
    return marks_of_text(text, f"the Variable {name}") if text is not None else Marks()
