"""The store of the record: where it is, and whether it can be used."""

from __future__ import annotations

from dagster_defs.errors.base import ParityError, UsageError


class BadStore(UsageError):
    """`said`: as much of PARITY_STORE as may be shown."""

    def __init__(self, said: str, why: str, remedy: str) -> None:
        self.said, self.why, self.remedy = said, why, remedy
        super().__init__(f"cannot use PARITY_STORE ({said}): {why}. {remedy}")


class BadChannel(UsageError):
    def __init__(self, said: str, known: str) -> None:
        self.said, self.known = said, known
        super().__init__(
            f"cannot use PARITY_CHANNEL ({said}): it is no known channel. Write {known}, or unset it"
        )


class StoreMissing(ParityError):
    """A store that is not there is not an empty one: another one may hold the record."""

    def __init__(self, place: str, why: str) -> None:
        self.place, self.why = place, why
        super().__init__(
            f"there is no store at {place}: {why}. Nothing was done. Correct PARITY_STORE, or, if this is where the "
            "record begins, create it: parity store init"
        )


class StoreUnreachable(ParityError):
    def __init__(self, place: str, why: str) -> None:
        self.place, self.why = place, why
        super().__init__(
            f"the store {place} does not answer: {why}. Without it nobody knows who owns a window, so nothing more was "
            "done. Check the server, the network and PARITY_STORE, then repeat the command"
        )


class StoreRefused(ParityError):
    """It is there, and may not or must not be used."""

    def __init__(self, place: str, why: str, remedy: str) -> None:
        self.place, self.why, self.remedy = place, why, remedy
        super().__init__(f"cannot use the store {place}: {why}. Nothing was done. {remedy}")


class StoreVersion(ParityError):
    def __init__(self, place: str, found: int, wanted: int) -> None:
        self.place, self.found, self.wanted = place, found, wanted
        remedy = (
            "Bring it up to date, which keeps what it holds: parity store init"
            if found < wanted
            else "Use the version of parity that made it, or a later one"
        )
        super().__init__(
            f"the store {place} has version {found}, and this parity uses version {wanted}. Nothing was done. {remedy}"
        )


class StoreNotEmpty(UsageError):
    def __init__(self, place: str, entries: int, marks: int) -> None:
        self.place, self.entries, self.marks = place, entries, marks
        super().__init__(
            f"cannot import into {place}: it holds another record, with {entries:,} entries and {marks:,} marks. "
            "Nothing was done. Name an empty store in PARITY_STORE"
        )


class ImportRefused(UsageError):
    """`source`: the folder."""

    def __init__(self, source: str, why: str, remedy: str) -> None:
        self.source, self.why, self.remedy = source, why, remedy
        super().__init__(f"cannot import {source}: {why}. Nothing was done. {remedy}")


class ImportDiffers(ParityError):
    """What was imported is not what is in the files."""

    def __init__(self, place: str, source: str, why: str) -> None:
        self.place, self.source, self.why = place, source, why
        super().__init__(
            f"{place} does not hold the record of {source}: {why}. Do not use it. Drop the schema airflow_parity, and "
            "import again while no command moves units: parity store init, parity store import"
        )


class NoMarksFolder(UsageError):
    """A record that is in a database does not reach Airflow by itself."""

    def __init__(self, place: str, why: str) -> None:
        self.place, self.why = place, why
        super().__init__(
            f"the record is in {place}, and Airflow reads its marks in a folder: {why}. Nothing was done. Set "
            "PARITY_PROXIED_STATE to the folder that Airflow's scheduler and workers read"
        )


class LeaseLost(ParityError):
    """`who` moves the unit now: the lease was not renewed in time, as when a machine sleeps."""

    def __init__(self, unit: str, who: str) -> None:
        self.unit, self.who = unit, who
        super().__init__(
            f"{unit} is no longer moved by this command: it did not renew its lease in time, and {who} has taken over. "
            "Nothing more was written. Look: parity status"
        )
