"""What Airflow shows, and keeps, about who has run a task instance: an XCom, and a note for people."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from handover.facts import facts
from handover.names import AIRFLOWS, DAGSTERS, OWNER_KEY, RUN_KEY

logger = logging.getLogger(__name__)

NOTE = "Dagster has run this: "


def show_owner(task: Any, *, dagsters: bool) -> None:
    """Airflow removes a task's XComs as a try begins, so this one is about the newest try."""
    with _harmless("XCom"):
        task.xcom_push(key=OWNER_KEY, value=DAGSTERS if dagsters else AIRFLOWS)
    if not dagsters:
        _note(task, "")


def show_run(task: Any, url: str) -> None:
    """Put the run's address into XCom, which Airflow's UI shows as a link, and into the note, unless a person has
    written one."""
    with _harmless("XCom"):
        task.xcom_push(key=RUN_KEY, value=url)
    _note(task, NOTE + url)


def shown_as_dagsters(task: Any) -> set[int]:
    """The map indices of the task's instances whose newest try was handed to Dagster by a switch."""
    shown = facts.xcom_by_index(task, OWNER_KEY)
    return {index for index, owner in shown.items() if owner == DAGSTERS}


def _note(task: Any, text: str) -> None:
    with _harmless("note"):
        facts.set_note(task, text, ours=NOTE)


@contextlib.contextmanager
def _harmless(what: str) -> Iterator[None]:
    """What is only shown must not end the task."""
    try:
        yield
    except Exception as error:
        logger.info("Who runs this task is not in its %s: %s", what, error)
