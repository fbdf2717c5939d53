"""Which dbt a task runs, and which its mirror runs: versions, packages, and the project's commit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dagster_defs.inventory.team import FILE, LegacyDbt
from dagster_defs.lifecycle.agreement import Agreement, Facet

_NAME = "runtime"
_UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Runtime:
    """Empty texts, and packages that are None, are not known. `adapter`: `duckdb 1.11.1`; `packages`: `name@version`;
    `commit`: in full, of the project's folder as it is if `changed` is false."""

    version: str = ""
    adapter: str = ""
    packages: tuple[str, ...] | None = None
    commit: str = ""
    changed: bool = False

    @property
    def is_known(self) -> bool:
        return bool(self.version or self.adapter or self.commit or self.packages is not None)

    def __str__(self) -> str:
        return ", ".join(text for _, text in self._parts()) or _UNKNOWN

    def _parts(self) -> Iterator[tuple[str, str]]:
        if self.version:
            yield "dbt", f"dbt {self.version}"
        if self.adapter:
            yield "adapter", self.adapter
        if self.packages is not None:
            yield "packages", " ".join(self.packages) or "no packages"
        if self.commit:
            yield "commit", f"commit {self.commit[:12]}{' with changes' if self.changed else ''}"

    def known(self) -> dict[str, str]:
        return dict(self._parts())

    @classmethod
    def of_legacy(cls, said: LegacyDbt | None) -> Runtime:
        if said is None:
            return Runtime()
        packages = (
            None if said.packages is None else tuple(sorted(f"{k}@{v}" for k, v in said.packages.items()))
        )
        return Runtime(said.version, said.adapter, packages, said.commit)


NO_RUNTIME = Runtime()


def runtime_facet(said: LegacyDbt | None, mirrors: Runtime, *, runs_dbt: bool) -> Facet:
    """`said`: what the team says of Airflow's dbt, which no inventory does.

    A difference is undetermined: whether it changes the tables is for their comparison to show.
    """
    if not runs_dbt:
        return Facet(_NAME, Agreement.AGREES, "no dbt", "no dbt")
    legacy = Runtime.of_legacy(said)
    if not legacy.is_known:
        detail = f"the inventory does not say which dbt the task runs. Say it in {FILE}, under `dbt`"
        return Facet(_NAME, Agreement.UNDETERMINED, _UNKNOWN, str(mirrors), detail, 0)
    theirs, ours = legacy.known(), mirrors.known()
    differing = [name for name in theirs if name in ours and not _same(name, theirs[name], ours[name])]
    unknown = [name for name in (*ours, *theirs) if name not in theirs or name not in ours]
    both = len(theirs.keys() & ours.keys())
    notes = [f"{name}: {theirs[name]} in Airflow, {ours[name]} in the mirror" for name in differing]
    notes += [f"{_UNKNOWN} of both sides: {', '.join(dict.fromkeys(unknown))}"] if unknown else []
    if differing:
        notes.append("accept it in the unit's YAML if the tables match: gates: {undetermined: [runtime]}")
    agrees = Agreement.AGREES if both and not differing else Agreement.UNDETERMINED
    return Facet(_NAME, agrees, str(legacy), str(mirrors), "; ".join(notes), both)


def _same(name: str, theirs: str, ours: str) -> bool:
    """A commit may be abbreviated; one with changes is not the commit."""
    return theirs == ours or (name == "commit" and ours.startswith(theirs) and " with " not in ours)
