"""Every error that this project raises on purpose.

    ParityError                      exit 1   something went wrong; the message says what, why and what to do
    ├── UsageError                   exit 2   what was asked cannot be done as asked
    └── GateClosed                   exit 3   what was asked is refused, or the two sides differ

One fact for each class, kept in typed fields; the message is made from them and ends with the remedy.
"""

from __future__ import annotations

from typing import ClassVar


class ParityError(Exception):
    """Base of all errors; `exit_code` is what the command line returns for it."""

    exit_code: ClassVar[int] = 1


class UsageError(ParityError):
    """The request itself is wrong: nothing was tried."""

    exit_code: ClassVar[int] = 2
