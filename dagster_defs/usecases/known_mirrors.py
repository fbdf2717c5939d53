"""A cache of what `parity status` needs to know about the mirrors.

Loading the mirrors takes seconds, because it imports Dagster and dbt. The cache is valid while every file, variable and
installed package that it depends on is unchanged. The ledger, the marks and the event log are never cached.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.files.airflows import airflows, settings_of_each
from dagster_defs.errors import BadUnit
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.facets import UnitFacets
from dagster_defs.lifecycle.programs_beside import ProgramBeside
from dagster_defs.lifecycle.settings import Gate, GateSettings
from dagster_defs.settings import Settings

SCHEMA = "parity/known-mirrors/3"
OWN_CODE = Path(__file__).resolve().parents[1]

_MADE_BY_RUNS = (".", "__pycache__", "target", "logs", "proxied_state")
_DBTS_OWN = ".user.yml"  # an id that dbt generates when it first runs
_SHELLS_OWN = frozenset({"_", "SHLVL", "PWD", "OLDPWD", "COLUMNS", "LINES", "TERM", "COLORTERM", "NO_COLOR"})
# A file that changes twice within one tick of the file system's clock may look as if it changed once.
_TICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class KnownMirrors:
    """`gates`: the settings of each sound mirror. `broken`: the faults of the others, by name in the YAML.
    `other_schedules`: units of the same DAG with a different schedule. `facets`: None without an inventory.
    `last_seen`: the files with what each Airflow was last seen to contain, by its name; they need not exist. `owners`:
    of each unit's assets, if it has any."""

    gates: Mapping[Unit, GateSettings]
    broken: Mapping[str, str]
    other_schedules: Mapping[Unit, tuple[Unit, ...]]
    facets: Mapping[Unit, UnitFacets] | None
    last_seen: Mapping[str, str]
    owners: Mapping[Unit, tuple[str, ...]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "gates": {str(unit): asdict(gates) for unit, gates in self.gates.items()},
            "broken": dict(self.broken),
            "other_schedules": {
                str(unit): [str(other) for other in others] for unit, others in self.other_schedules.items()
            },
            "facets": None if self.facets is None else [facets.as_json() for facets in self.facets.values()],
            "last_seen": dict(self.last_seen),
            "owners": {str(unit): list(owners) for unit, owners in self.owners.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> KnownMirrors:
        """Raises KeyError, TypeError, ValueError or BadUnit for anything that `as_json` does not write."""
        facets = document["facets"]
        return cls(
            {Unit.parse(unit): _gates(gates) for unit, gates in document["gates"].items()},
            {str(name): str(why) for name, why in document["broken"].items()},
            {
                Unit.parse(unit): tuple(map(Unit.parse, others))
                for unit, others in document["other_schedules"].items()
            },
            None
            if facets is None
            else {unit_facets.unit: unit_facets for unit_facets in map(UnitFacets.from_json, facets)},
            {str(name): str(file) for name, file in document["last_seen"].items()},
            {Unit.parse(unit): tuple(map(str, owners)) for unit, owners in document["owners"].items()},
        )


def _gates(document: Mapping[str, Any]) -> GateSettings:
    lists = {name: tuple(value) for name, value in document.items() if isinstance(value, list)}
    lists["without"] = tuple(map(Gate, document["without"]))
    lists["beside"] = tuple(ProgramBeside(**program) for program in document["beside"])
    return GateSettings(**{**document, **lists})


@dataclass(frozen=True)
class Foundation:
    """What the cache depends on. `folders`: the YAML, this package, the legacy code and the dbt projects."""

    settings: Settings
    folders: tuple[str, ...]

    def digest(self) -> tuple[str, float]:
        """A digest of everything, and when the newest file changed, in seconds since 1970."""
        variables = sorted((k, v) for k, v in self.settings.variables.items() if k not in _SHELLS_OWN)
        packages = Path(sysconfig.get_path("purelib")).stat().st_mtime_ns
        digest = hashlib.sha256(repr((SCHEMA, sys.version, packages, str(Path.cwd()), variables)).encode())
        newest = 0
        for path in self._files():
            try:
                facts = path.stat()
            except OSError:
                digest.update(f"\0{path}\0".encode(errors="surrogateescape"))
                continue
            newest = max(newest, facts.st_ctime_ns)
            at = (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
            digest.update(f"\0{path}\0{at}".encode(errors="surrogateescape"))
        return digest.hexdigest(), newest / 1e9

    def _files(self) -> Iterator[Path]:
        yield from (self.settings.root / name for name in ("pyproject.toml", "dg.toml"))
        yield self.settings.team_file
        for each in settings_of_each(self.settings):
            if inventory := each.inventory_file:
                yield inventory
        if profiles := self.settings.variables.get("DBT_PROFILES_DIR"):
            yield Path(profiles) / "profiles.yml"
        for top in self.folders:
            for folder, folders, files in os.walk(top, followlinks=True):
                folders[:] = sorted(name for name in folders if not name.startswith(_MADE_BY_RUNS))
                yield from (Path(folder, name) for name in sorted(files) if name != _DBTS_OWN)


def recall(settings: Settings) -> KnownMirrors | None:
    """The cached mirrors, if nothing that they depend on has changed. An unreadable cache counts as none."""
    with suppress(OSError, AttributeError, KeyError, TypeError, ValueError, BadUnit):
        match atomic.read_cache(settings.known_mirrors):
            case {"digest": str(digest), "folders": list(folders), "known": dict(known)}:
                foundation = Foundation(settings, tuple(map(str, folders)))
                if foundation.digest()[0] == digest:
                    return KnownMirrors.from_json(known)
    return None


def keep(settings: Settings, known: KnownMirrors, folders: Collection[Path], began: float) -> None:
    """Write the cache. `folders`: the mirrors' own. `began`: when reading them began, in seconds since 1970; nothing is
    cached if a file changed after that, or so shortly before it that the order is unknown. If the cache cannot be
    written, the next call is merely slower."""
    several = airflows(settings).dags  # what each was last seen to have decides which units are sound
    seen = {str(Path(file).parent) for file in known.last_seen.values()} if several else set()
    foundation = Foundation(settings, tuple(sorted({*map(str, folders), *seen, str(OWN_CODE)})))
    with suppress(OSError):
        digest, newest = foundation.digest()
        if newest < began - _TICK_SECONDS:
            document = {"digest": digest, "folders": foundation.folders, "known": known.as_json()}
            atomic.write_json(settings.known_mirrors, document, mode=atomic.PRIVATE)
