"""Whether Airflow and a mirror agree on one point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagster_defs.older_python import StrEnum


class Agreement(StrEnum):
    AGREES = "agrees"
    DIFFERS = "differs"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class Facet:
    """One property of a unit in Airflow and in its mirror; `compared` counts the values behind it."""

    name: str
    agrees: Agreement
    legacy: str
    mirror: str
    detail: str = ""
    compared: int = 1

    def as_json(self) -> dict[str, Any]:
        return {
            "facet": self.name,
            "agrees": self.agrees.value,
            "legacy": self.legacy,
            "mirror": self.mirror,
            "detail": self.detail,
            "compared": self.compared,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Facet:
        """Raises KeyError or ValueError for anything that `as_json` does not write."""
        return cls(
            document["facet"],
            Agreement(document["agrees"]),
            document["legacy"],
            document["mirror"],
            document["detail"],
            document["compared"],
        )
