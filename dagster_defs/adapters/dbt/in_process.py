"""dbt-core in this process: what it is, parsing by it, and its own manifest objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dagster_defs.adapters.dbt.built import Parsed
from dagster_defs.adapters.dbt.environment import giving
from dagster_defs.adapters.dbt.executable import refuse_too_old
from dagster_defs.adapters.dbt.run import working_directory_kept
from dagster_defs.adapters.files import atomic
from dagster_defs.errors import DbtProjectUnreadable, DbtUnusable

_SILENT = ("--quiet", "--log-level", "none")  # stdout may be JSON; we report errors ourselves


_PROGRAM = "Dagster's own process"
_REMEDY = (
    "Install dbt-core 1.8 or later with the adapter of the target, or name another dbt: dbt: {executable: …}"
)


def own_version() -> str:
    """Raises DbtUnusable if there is none, or one that is too old."""
    try:
        found = version("dbt-core")
    except PackageNotFoundError as error:
        raise DbtUnusable(_PROGRAM, "dbt-core is not installed", _REMEDY) from error
    refuse_too_old(_PROGRAM, found, _REMEDY)
    return found


def parse(project_dir: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> Parsed:
    """Raises DbtProjectUnreadable."""
    from dbt.cli.main import dbtRunner

    parsed = Parsed()
    with working_directory_kept():
        outcome = dbtRunner(callbacks=[giving(environment), parsed.hear]).invoke([*_SILENT, *arguments])
    if not outcome.success:
        raise unreadable(project_dir, outcome.exception)
    manifest: Any = outcome.result
    parsed.read = list(manifest.env_vars)
    return parsed


def unreadable(project_dir: Path, error: BaseException | None) -> DbtProjectUnreadable:
    """Our error for an exception that dbt raised while parsing the project.

    dbt catches interrupts and time-outs too, which are meant for this process: they are raised again.
    """
    from dbt.exceptions import UninstalledPackagesFoundError

    if error is not None and not isinstance(error, Exception | SystemExit):
        raise error
    deps = isinstance(error, UninstalledPackagesFoundError)
    unsaid = (
        "dbt parse failed"
        if error is None
        else f"dbt parse ended with {type(error).__name__}, and no message"
    )
    return DbtProjectUnreadable(project_dir, str(error or "").strip() or unsaid, deps)


def read_manifest(file: Path) -> Any:
    from dbt.contracts.graph.manifest import Manifest as DbtManifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    return DbtManifest.from_msgpack(file.read_bytes(), decoder=extended_mashumuro_decoder)


def write_manifest(manifest: Any, file: Path) -> None:
    from dbt.parser.manifest import extended_mashumaro_encoder

    atomic.write_bytes(file, manifest.to_msgpack(extended_mashumaro_encoder))
