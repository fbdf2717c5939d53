"""What Python 3.10 does not have yet, as later Pythons have it."""

import sys
from collections.abc import Callable
from datetime import date, datetime

__all__ = ["StrEnum", "date_of", "datetime_of", "tomllib"]

date_of: Callable[[str], date]
datetime_of: Callable[[str], datetime]

if sys.version_info >= (3, 11):
    from enum import StrEnum

    import tomllib

    date_of, datetime_of = date.fromisoformat, datetime.fromisoformat
else:
    from enum import Enum

    import tomli as tomllib
    from backports import datetime_fromisoformat as backported

    date_of, datetime_of = backported.date_fromisoformat, backported.datetime_fromisoformat

    class StrEnum(str, Enum):
        __str__ = str.__str__
