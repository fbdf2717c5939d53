"""The status block of `migration_plan.md`: generated text between two markers; the rest is written by people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dagster_defs.adapters.files import atomic
from dagster_defs.errors import MigrationPlanUnreadable

BEGIN = "<!-- status: written by `parity migration-plan --write` -->"
END = "<!-- end of status -->"


@dataclass(frozen=True)
class MigrationPlan:
    """Every method raises MigrationPlanUnreadable if the file does not exist or lacks the markers."""

    path: Path

    def is_current(self, block: str) -> bool:
        _, written, _ = self._parts()
        return written.strip() == block.strip()

    def write(self, block: str) -> bool:
        """Replace the block atomically; returns whether anything changed."""
        if self.is_current(block):
            return False
        before, _, after = self._parts()
        atomic.write_text(self.path, f"{before}{BEGIN}\n\n{block.strip()}\n\n{END}{after}")
        return True

    def _parts(self) -> tuple[str, str, str]:
        """The text before the block, the block itself, and the text after it."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise MigrationPlanUnreadable(self.path, str(error), BEGIN, END) from error
        before, begin, rest = text.partition(BEGIN)
        block, end, after = rest.partition(END)
        if not (begin and end):
            raise MigrationPlanUnreadable(self.path, "it has no status block", BEGIN, END)
        return before, block, after
