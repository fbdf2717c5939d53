"""Waits for a Dagster run in Airflow's triggerer, where many waits share one process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from handover.client import Client, NoAnswer, given_up
from handover.facts import IS_AIRFLOW_3, facts
from handover.patience import Patience, poll_pause
from handover.place import find_place
from handover.runs import has_ended, status_of, terminate

logger = logging.getLogger(__name__)

TERMINATE_SECONDS = 20.0


class DagsterRunTrigger(BaseTrigger):  # type: ignore[misc]  # Airflow is not installed here
    """Fires once: `{"run_id", "status"}` when the run has ended, `{"run_id", "error"}` when patience has.

    The way to Dagster is looked up again in the triggerer: a secret is never part of a trigger's row in the database.
    """

    def __init__(self, run_id: str, conn_id: str, patience: float | None = None) -> None:
        super().__init__()
        self.run_id, self.conn_id, self.patience = run_id, conn_id, patience

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "handover.trigger.DagsterRunTrigger",
            {"run_id": self.run_id, "conn_id": self.conn_id, "patience": self.patience},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            yield TriggerEvent({"run_id": self.run_id, **await self._outcome()})
        except asyncio.CancelledError:
            # A deferred task has no on_kill. A triggerer that hands its triggers to another one also stops this way.
            if not IS_AIRFLOW_3:
                await self._end_if_unwanted()
            raise

    async def on_kill(self) -> None:
        """Airflow 3 calls this when a person has ended the task, and not when the triggerer stops."""
        await self._end_if_unwanted()

    async def _end_if_unwanted(self) -> None:
        if await asyncio.to_thread(self._is_unwanted):
            await asyncio.to_thread(self._end)

    async def _outcome(self) -> dict[str, str]:
        client = await asyncio.to_thread(self._client)
        began = time.monotonic()
        patience = Patience(client.place.patience)
        while True:
            try:
                # One poll per thread at most: an outage must not fill the triggerer's few threads with sleepers.
                status = await asyncio.to_thread(status_of, client, self.run_id)
            except NoAnswer as error:
                pause = patience.pause()
                if pause is None:
                    return {"error": given_up(error, patience)}
                logger.warning("%s; asking again in %.1f s", error, pause)
            else:
                if has_ended(status):
                    return {"status": status}
                patience = Patience(client.place.patience)
                pause = poll_pause(time.monotonic() - began)
            await asyncio.sleep(pause)

    def _client(self) -> Client:
        return Client(find_place(self.conn_id, self.patience))

    def _is_unwanted(self) -> bool:
        """Whether the task is over: somebody marked it, or its DAG run was deleted.

        A task that was cleared is not: its next try finds the run and knows what to do about it. Nor is a mapped task
        of which another instance waits for the run.
        """
        known = self.task_instance
        if known is None:
            return False
        try:
            over = facts.is_over(known)
        except facts.UNREADABLE as error:
            logger.warning("Dagster run %s is left alone, because it is not known whether its task is over: %s",
                           self.run_id, error)  # fmt: skip
            return False
        return over and not (known.map_index >= 0 and facts.has_waiting_sibling(known))

    def _end(self) -> None:
        try:
            status = terminate(self._client(), self.run_id, seconds=TERMINATE_SECONDS)
        except Exception as error:
            logger.error("Dagster run %s goes on, it could not be ended: %s", self.run_id, error)
        else:
            logger.info("Dagster run %s was ended with its task: %s", self.run_id, status)
