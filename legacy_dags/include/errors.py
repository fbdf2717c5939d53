"""Every error that the estate's business code raises on purpose.

    EstateError
    ├── BadSetting           an environment variable or an argument that cannot be right
    ├── BadMonth             a month that is not written YYYY-MM
    ├── LandingFileMissing   what should have been delivered is not there
    ├── LandingFileBroken    it is there and cannot be read
    ├── LandingSchemaWrong   it can be read and is not what was agreed
    ├── WarehouseMissing     nothing to export from: the database or the table does not exist
    ├── WarehouseBusy        another process held the database for too long
    └── ExportNotHere        the estate runs on a warehouse that is no DuckDB file

One fact for each class, kept in typed fields; each message says what is wrong, why, and what to do.
"""

from __future__ import annotations

from pathlib import Path


class EstateError(Exception):
    """Base of all errors of the estate."""


class BadSetting(EstateError):
    """An invalid setting: its name, its value, and what it must look like."""

    def __init__(self, name: str, value: str, expected: str) -> None:
        self.name = name
        self.value = value
        self.expected = expected
        super().__init__(f"{name}={value!r} cannot be right: expected {expected}. Correct it and run again.")


class BadMonth(EstateError):
    """A month that is not written YYYY-MM."""

    def __init__(self, month: str) -> None:
        self.month = month
        super().__init__(f"{month!r} is not a month: write it as YYYY-MM, like 2024-03.")


class LandingFileMissing(EstateError):
    """What should have been delivered is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"landing file {path} is missing: nothing was delivered under that name. "
            "Put the file there (TLC publishes it under the same name), point TAXI_LANDING_DIR at the folder "
            "that has it, or generate it with include.landing.generate."
        )


class LandingFileBroken(EstateError):
    """The file exists but cannot be read; `reason` is the reader's message."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(
            f"landing file {path} cannot be read: {reason}. "
            "Fetch it again; what was loaded from it earlier is untouched."
        )


class LandingSchemaWrong(EstateError):
    """The file can be read but does not match the agreed schema; `faults` has one line per wrong column."""

    def __init__(self, path: Path, faults: tuple[str, ...]) -> None:
        self.path = path
        self.faults = faults
        super().__init__(
            f"landing file {path} has a wrong schema: {'; '.join(faults)}. "
            "Fetch it again, or change include/schemas.py if the publisher changed the format; "
            "what was loaded from it earlier is untouched."
        )


class WarehouseMissing(EstateError):
    """Nothing to export from: the database, or the table in it, does not exist."""

    def __init__(self, database: Path, reason: str) -> None:
        self.database = database
        self.reason = reason
        super().__init__(f"cannot export from {database}: {reason}. Build the models first: dbt build.")


class WarehouseBusy(EstateError):
    """Another process held the database for the whole of `seconds`."""

    def __init__(self, database: Path, seconds: float) -> None:
        self.database = database
        self.seconds = seconds
        super().__init__(
            f"{database} stayed locked by another process for {seconds:.0f} s: a DuckDB file has one writer. "
            "Let the other run end, then run this one again; nothing was exported."
        )


class ExportNotHere(EstateError):
    """The estate runs on a warehouse other than a DuckDB file, which exports itself."""

    def __init__(self, target: str, statement: str) -> None:
        self.target = target
        self.statement = statement
        super().__init__(
            f"TAXI_DBT_TARGET={target} is no DuckDB file, so there is nothing here to export from. "
            f"Let the warehouse write the file:\n{statement}"
        )
