"""Echoes: what Airflow is told of retired DAGs."""

from __future__ import annotations

from collections.abc import Sequence

from dagster_defs.errors.base import ParityError


class EchoOutstanding(ParityError):
    """Airflow cannot be told yet. `reason`: why."""

    def __init__(self, reason: str, remedy: str) -> None:
        self.reason, self.remedy = reason, remedy
        super().__init__(f"{reason}. {remedy}: it is told then")


class EchoCutShort(EchoOutstanding):
    """The tick has told as much of a run as it had time for."""

    def __init__(self) -> None:
        super().__init__("this tick has no time left", "Wait for the next one")


class EchoUntested(ParityError):
    """An echo that was tried on one window and does not do what it should."""

    def __init__(self, dag_id: str, reason: str, remedy: str) -> None:
        self.dag_id, self.reason, self.remedy = dag_id, reason, remedy
        super().__init__(f"the echo of {dag_id} was not tested: {reason}. {remedy}")


class NothingListens(ParityError):
    """`refused`: what would listen and cannot be told, with the reasons."""

    def __init__(self, dag_id: str, refused: Sequence[str]) -> None:
        self.dag_id, self.refused = dag_id, list(refused)
        why = f" that can be told: {'; '.join(refused)}" if refused else ""
        remedy = "Retire that first, or remove it" if refused else "It needs no echo"
        super().__init__(f"nothing in Airflow listens to {dag_id}{why}. {remedy}")
