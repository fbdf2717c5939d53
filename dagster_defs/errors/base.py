"""The bases of all errors."""

from __future__ import annotations

from typing import ClassVar


class ParityError(Exception):
    """Base of all errors; `exit_code` is what the command line returns for it."""

    exit_code: ClassVar[int] = 1


class UsageError(ParityError):
    """The request itself is wrong; nothing was attempted."""

    exit_code: ClassVar[int] = 2


class WarehouseError(ParityError):
    """Base of the errors that keep data from being read."""
