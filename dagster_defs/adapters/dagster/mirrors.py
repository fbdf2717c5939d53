"""The mirrors that defs/ declares, read from the YAML without building any Dagster definitions."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

from dagster_defs.adapters.dagster.last_seen import dags_last_seen
from dagster_defs.adapters.files.airflows import airflows
from dagster_defs.adapters.files.wrong_input import in_words
from dagster_defs.errors import BadUnit, MirrorsUnreadable, NoProject, NoSuchUnit, ParityError
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.identity import definers, keys_taken_twice, names_taken_twice, prefixes_at_odds
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.settings import Settings, dg_settings, is_project

if TYPE_CHECKING:
    import dagster as dg


class Mirrors(Sequence[Mirror]):
    """The sound mirrors, sorted by unit. `broken`: the faults of the others, by name in the YAML."""

    def __init__(self, sound: Sequence[Mirror], broken: Mapping[str, ParityError] | None = None) -> None:
        self._sound = sorted(sound, key=lambda mirror: mirror.legacy_unit)
        self.broken = broken or {}

    @overload
    def __getitem__(self, index: int) -> Mirror: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Mirror]: ...
    def __getitem__(self, index: int | slice) -> Mirror | Sequence[Mirror]:
        return self._sound[index]

    def __len__(self) -> int:
        return len(self._sound)

    @property
    def broken_units(self) -> Mapping[Unit, str]:
        """The faults' messages by unit, without mirrors whose name is invalid."""
        return {unit: str(fault) for name, fault in self.broken.items() if (unit := Unit.named(name))}

    def resolved(self, units: Collection[Unit] | None = None) -> Mirrors:
        """Also finds faults in these units (by default all) that only the dbt project can tell, which is slow."""
        broken = {
            str(mirror.legacy_unit): fault
            for mirror in self._sound
            if (units is None or mirror.legacy_unit in units) and (fault := fault_of(mirror, resolved=True))
        }
        sound = [mirror for mirror in self._sound if str(mirror.legacy_unit) not in broken]
        if units is None:
            broken |= conflicts(sound)
            sound = [mirror for mirror in sound if str(mirror.legacy_unit) not in broken]
        return Mirrors(sound, {**self.broken, **broken})


def select_mirrors(mirrors: Sequence[Mirror], names: Sequence[str]) -> list[Mirror]:
    """The mirrors of these units, in this order; all if none is named. Raises NoSuchUnit, and a broken unit's fault."""
    by_name = {str(mirror.legacy_unit): mirror for mirror in mirrors}
    for name in names:
        if isinstance(mirrors, Mirrors) and name in mirrors.broken:
            raise mirrors.broken[name]
        if name not in by_name:
            raise NoSuchUnit(name, list(by_name))
    return [by_name[name] for name in names or by_name]


def load_mirrors(root: Path) -> Mirrors:
    """Every mirror of the project, as far as can be known without a dbt project.

    A project that is not installed in this environment is imported from where it lies, as `dg` does. Raises
    MirrorsUnreadable, which names the file, if the YAML itself cannot be loaded; NoProject.
    """
    return mirrors_of_project(root, load_components(root))


def load_components(root: Path) -> Sequence[Any]:
    """Every component of the project's YAML. Raises as `load_mirrors`."""
    if not is_project(root):
        raise NoProject(root)
    _make_importable(root)
    import dagster as dg

    from dagster_defs.adapters.dagster.component_tree import EstateTree

    try:
        tree = EstateTree.for_project(root)
        if declares_nothing(tree.defs_module_path):
            return ()
        return tree.get_all_components(of_type=dg.Component)
    except Exception as error:
        raise MirrorsUnreadable(root, _reason(error)) from error


def mirrors_of_project(root: Path, components: Sequence[Any]) -> Mirrors:
    """Those among its components, broken ones apart. Raises TeamFileUnreadable."""
    if not components:
        return Mirrors(())
    mirrors = mirrors_among(components)
    elsewhere = in_no_certain_airflow(
        root, [*map(str, (each.legacy_unit for each in mirrors)), *mirrors.broken]
    )
    sound = [mirror for mirror in mirrors if str(mirror.legacy_unit) not in elsewhere]
    return Mirrors(sound, {**elsewhere, **mirrors.broken})


def in_no_certain_airflow(root: Path, names: Iterable[str]) -> Mapping[str, ParityError]:
    """The faults of units of which it is not certain which of the project's Airflows runs them, by name. `names`: of
    all units; names that no unit can have are left out. Raises TeamFileUnreadable."""
    settings = Settings({}, root)
    declared = airflows(settings)
    if not declared.dags:
        return {}
    dag_ids = {name: unit.dag_id for name in names if (unit := Unit.named(name))}
    bad = declared.misplaced(dag_ids.values(), dags_last_seen(settings))
    return {name: bad[dag_id] for name, dag_id in dag_ids.items() if dag_id in bad}


def mirrors_folder(root: Path) -> Path:
    """The folder of the project that holds the YAML, which need not exist yet. A project that is not installed in this
    environment has one too. Raises NoProject, and MirrorsUnreadable if the project's settings do not tell."""
    settings = dg_settings(root).get("project", {})
    package = settings.get("root_module", "")
    module: str = settings.get("defs_module") or (package and f"{package}.defs")
    if not settings:
        raise NoProject(root)
    if not module:
        raise MirrorsUnreadable(root, "its `dg` settings name neither root_module nor defs_module")
    first, *rest = module.split(".")
    places = [folder / first for folder in _folders_with(first, root)]
    spec = importlib.util.find_spec(first) if not places else None
    places += [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    if not places:
        raise MirrorsUnreadable(root, f"its package {first} is neither in src/ nor beside its settings")
    return places[0].joinpath(*rest)


def _make_importable(root: Path) -> None:
    package, _, _ = dg_settings(root).get("project", {}).get("root_module", "").partition(".")
    if package and importlib.util.find_spec(package) is None:
        sys.path += [str(folder) for folder in _folders_with(package, root)]


def _folders_with(package: str, root: Path) -> list[Path]:
    """The folders of a project that `package` may be imported from."""
    return [folder for folder in (root / "src", root) if (folder / package).is_dir()]


def mirrors_among(components: Iterable[Any]) -> Mirrors:
    """The mirrors among loaded components; a file with a single document is listed as file and as document."""
    from dagster_defs.adapters.dagster.mirror_component import MirrorComponent

    distinct = {id(component): component for component in components}.values()
    declared = [component for component in distinct if isinstance(component, MirrorComponent)]
    broken: dict[str, ParityError] = dict(names_taken_twice(component.unit for component in declared))
    for component in declared:
        if fault := fault_of(component, resolved=False):
            broken[component.unit] = fault
    return Mirrors([component for component in declared if component.unit not in broken], broken)


def conflicts(mirrors: Sequence[Mirror]) -> Mapping[str, ParityError]:
    """Faults by unit name of mirrors that are sound individually but conflict with each other."""
    feeds = {source: key for mirror in mirrors for source, key in mirror.feeds.items()}
    prefixes = [
        (dbt.unit, str(dbt.project_dir), "/".join(dbt.key_prefix_parts))
        for mirror in mirrors
        if (dbt := mirror.dbt_mirror) is not None
    ]
    claims = [claim for mirror in mirrors for claim in mirror.claims(feeds)]
    return {**keys_taken_twice(claims), **prefixes_at_odds(prefixes)}


def legacy_keys(mirrors: Mapping[Unit, Mirror]) -> dict[Unit, list[dg.AssetKey]]:
    """The assets that each unit's mirror defines, sorted by key."""
    import dagster as dg

    written: dict[tuple[int, Unit], frozenset[str]] = {}
    for unit, mirror in mirrors.items():
        try:
            keys = frozenset(key for key in mirror.declared().writes if not key.startswith("source:"))
        except ParityError:
            continue  # `parity verify` reports its fault; its verdicts are shown without runs
        written[len(keys), unit] = keys
    keys_of: dict[Unit, list[dg.AssetKey]] = {}
    for text, unit in sorted(definers(written).items()):
        keys_of.setdefault(unit, []).append(dg.AssetKey.from_user_string(text))
    return keys_of


def declares_nothing(defs_folder: Path) -> bool:
    """Whether the folder contains nothing that Dagster loads, such as when all units are gaps."""
    return not any(
        path.name in ("defs.yaml", "defs.yml", "component.yaml") or path.suffix == ".py"
        for path in defs_folder.rglob("*")
    )


class Declaration(Protocol):
    """A mirror of which nothing is known but what it is called."""

    unit: str

    def refuse_faults(self, *, resolved: bool) -> None: ...


def fault_of(mirror: Declaration, *, resolved: bool) -> ParityError | None:
    """What `refuse_faults` says, whatever it raises."""
    try:
        mirror.refuse_faults(resolved=resolved)
    except Exception as error:  # whatever it is, it is this unit's fault
        return as_fault(mirror.unit, error)
    return None


def as_fault(unit: str, error: Exception) -> ParityError:
    """An error of whatever kind as one that names the unit."""
    if isinstance(error, ParityError):
        return error
    return BadUnit(unit, f"{type(error).__name__}: {error}".rstrip("."), "Check its YAML")


def _reason(error: BaseException) -> str:
    """The message of the innermost cause, in terms of the YAML if that is at fault."""
    from pydantic import ValidationError

    while error.__cause__ is not None and not isinstance(error.__cause__, ModuleNotFoundError):
        error = error.__cause__
    if isinstance(error, ValidationError):
        return in_words(error)
    return str(error).strip() or type(error).__name__
