"""Whose a task's windows are, asked when the task executes.

Only what is fresh when it is read may decide. A folder is fresh if it is one folder, which the moves write and this
worker reads; a copy of it is not. A Variable is a row of Airflow's database, which every worker sees at once. Dagster
answers from its event log.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow.exceptions import AirflowException

from handover.client import Client, NoAnswer, reason
from handover.facts import facts
from handover.graphql import OBSERVED
from handover.marks import Marks, marks_of_text, read_marks
from handover.place import DEFAULT_CONNECTION, find_place

logger = logging.getLogger(__name__)

# Either one says that moves write this folder; a mount that has failed has neither.
LEDGER, SET_UP = "ledger.jsonl", ".parity-marks"
# The Variable that says so of Variables; the marks of a DAG are in `parity_marks__<dag>`.
VARIABLE = "parity_marks"
CHANNELS = (FILE, OF_VARIABLES, OF_DAGSTER) = ("file", "variable", "dagster")
# The asset in Dagster that says so of Dagster; the marks of a DAG are in `parity_marks/<dag>`.
ASSET = "parity_marks"


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


def ask(
    dag_id: str, task_id: str, conn_id: str = DEFAULT_CONNECTION, patience: float | None = None
) -> Answer:
    """Raises OwnerUnknown, with what to do, if the marks are not where PARITY_CHANNEL says, or not clear.

    `conn_id`, `patience`: of Dagster, if it is to be asked, as for a task that it runs.
    """
    return answer_of(marks_of(dag_id, conn_id, patience), dag_id, task_id)


def ask_or_assume(task: Any, *, conn_id: str, patience: float | None, fails_open: bool) -> Answer:
    """As `ask`. `fails_open`: that nobody can say is a warning in the task's log, and the window is Airflow's."""
    try:
        return ask(task.dag_id, task.task_id, conn_id, patience)
    except OwnerUnknown as error:
        if not fails_open:
            raise
        logger.warning(
            "Nobody can say whose the window is, so it is Airflow's, as the DAG file wants: %s", error
        )
        return Answer(proxied=False)


def answer_of(marks: Marks, dag_id: str, task_id: str) -> Answer:
    """Raises OwnerUnknown for a mark in doubt."""
    if problem := marks.problem_of(task_id):
        raise OwnerUnknown(f"{problem}. Correct the mark: parity resume {dag_id}.{task_id}")
    position = marks.positions.get(task_id)
    return Answer(marks.honoured(task_id), "" if position is None else str(position))


def channel() -> str:
    return os.environ.get("PARITY_CHANNEL") or FILE


def marks_of(dag_id: str, conn_id: str = DEFAULT_CONNECTION, patience: float | None = None) -> Marks:
    """Raises OwnerUnknown if nothing tells that these are the marks that moves write."""
    if channel() == FILE:
        return _in_folder(proxied_state(), dag_id)
    if channel() == OF_VARIABLES:
        return _in_variable(dag_id)
    if channel() == OF_DAGSTER:
        return _in_dagster(dag_id, conn_id, patience)
    known = f"{', '.join(CHANNELS[:-1])} or {CHANNELS[-1]}"
    raise OwnerUnknown(f"PARITY_CHANNEL is {channel()!r}; it takes {known}")


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


def _in_dagster(dag_id: str, conn_id: str, patience: float | None) -> Marks:
    """Raises OwnerUnknown if Dagster, asked as long as an outage may last, has not answered."""
    name = f"{ASSET}/{dag_id}"
    try:
        client = Client(find_place(conn_id, patience))
        told = _observations(client, [ASSET, dag_id])
        if told:
            return marks_of_text(str(told[0].get("description") or ""), f"{name} in Dagster")
        was_told = _observations(client, [ASSET], [dag_id])
        is_set_up = was_told or _observations(client, [ASSET])
    except AirflowException as error:
        raise OwnerUnknown(f"Dagster cannot be asked: {error}") from error
    if was_told:
        raise OwnerUnknown(
            f"the asset {name} was wiped in Dagster. Tell its marks again, for any unit of it: parity resume <unit>"
        )
    if not is_set_up:
        raise OwnerUnknown(
            f"Dagster at {client.place.url} has neither an asset {ASSET} nor {name}, so moves do not write there. Set "
            "PARITY_CHANNEL as for `parity`; if nothing was moved yet: PARITY_CHANNEL=dagster parity store init"
        )
    return Marks()


def _observations(
    client: Client, path: Sequence[str], partitions: Sequence[str] | None = None
) -> Sequence[Mapping[str, Any]]:
    """The newest one, if there is any. Raises NoAnswer."""
    answer = client.ask(OBSERVED, {"key": {"path": list(path)}, "partitions": partitions})
    if answer["__typename"] == "AssetNotFoundError":
        return ()
    if answer["__typename"] != "Asset":
        raise NoAnswer(f"Dagster at {client.place.url} cannot tell: {reason(answer)}", passing=False)
    observed: Sequence[Mapping[str, Any]] = answer["assetObservations"]
    return observed
