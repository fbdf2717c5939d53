"""Programs that a mirror runs beside dbt, as the person who cuts it over should know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ProgramBeside:
    """`place`: `before` or `after` dbt. `shadow`: candidates run it too; else only the owner's side does."""

    program: str
    place: str
    shadow: bool

    @property
    def said(self) -> str:
        return f"{self}{'' if self.shadow else ', on the owner side alone'}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"`{self.program}` {self.place} dbt"


def once_cut_over(programs: Sequence[ProgramBeside]) -> str:
    """What Dagster runs beside dbt from the cutover on, and what of it no candidate has run; empty without any."""
    if not programs:
        return ""
    runs = f"once cut over, Dagster also runs {', '.join(map(str, programs))}"
    untried = ", ".join(str(each) for each in programs if not each.shadow)
    return f"{runs}; not run in shadow: {untried}" if untried else f"{runs}; candidates run that too"
