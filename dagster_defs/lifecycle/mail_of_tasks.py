"""Airflow's `email`, `email_on_failure` and `email_on_retry` of a task."""

from __future__ import annotations

from dataclasses import dataclass

from dagster_defs.lifecycle.alerts import Cause


@dataclass(frozen=True, slots=True)
class TaskMail:
    """`to`: addresses. `on`: Airflow mails on failures and on retries, and on nothing else."""

    to: tuple[str, ...] = ()
    on: frozenset[Cause] = frozenset({Cause.FAILURE, Cause.RETRY})

    def of(self, cause: Cause) -> tuple[str, ...]:
        """Who gets a mail of such a thing."""
        return self.to if cause in self.on else ()


NO_MAIL = TaskMail()
