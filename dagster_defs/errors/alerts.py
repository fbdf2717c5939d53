"""Alerts: what YAML says about them, and receivers that did not take one."""

from __future__ import annotations

from collections.abc import Sequence

from dagster_defs.errors.base import ParityError, UsageError


class BadAlerts(UsageError):
    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            f"alerts cannot be sent as declared: {'; '.join(faults)}. Correct it in the YAML of Alerts"
        )


class NoAlerts(UsageError):
    def __init__(self) -> None:
        super().__init__(
            "nobody would be told: no YAML in defs/ declares receivers. Add a component of type "
            "dagster_defs.components.Alerts"
        )


class NotDelivered(ParityError):
    """`lasting`: another try would not help."""

    def __init__(self, receiver: str, why: str, *, lasting: bool = False) -> None:
        self.receiver, self.why, self.lasting = receiver, why, lasting
        super().__init__(f"the alert did not reach {receiver}: {why}. It is tried again")
