"""The store of the record: where it is, and whether it can be used."""

from __future__ import annotations

from dagster_defs.errors.base import ParityError, UsageError


class BadStore(UsageError):
    """`said`: as much of PARITY_STORE as may be shown."""

    def __init__(self, said: str, why: str, remedy: str) -> None:
        self.said, self.why, self.remedy = said, why, remedy
        super().__init__(f"cannot use PARITY_STORE ({said}): {why}. {remedy}")


class StoreMissing(ParityError):
    """A store that is not there is not an empty one: another one may hold the record."""

    def __init__(self, place: str, why: str) -> None:
        self.place, self.why = place, why
        super().__init__(
            f"there is no store at {place}: {why}. Nothing was done. Correct PARITY_STORE, or create the folder if "
            "this is where the record begins"
        )
