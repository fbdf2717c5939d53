"""Where a dbt project's working files go: its manifests, what is remembered about them, and what its runs leave.

By default that is `target` in the project, as with dbt. An image may have a read-only file system: then
PARITY_DBT_TARGET_DIR names a folder that can be written, and what `parity prepare` has left in the project is copied
there first, so that nothing is parsed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from pathlib import Path

from dagster_defs.adapters.dbt.environment import other_target_dir

STAMP = "prepared.json"  # what a manifest was made from; written last
_OF_RUNS = ("runs", "window-*", ".lock", "*.log")  # nobody needs them again


def target_folder(project_dir: Path) -> Path:
    """The project's folder for all targets, which need not exist."""
    if (elsewhere := other_target_dir()) is None:
        return project_dir / "target"
    digest = hashlib.sha256(str(project_dir.absolute()).encode()).hexdigest()[:12]
    return elsewhere / f"{project_dir.name}-{digest}"


def target_path(project_dir: Path, name: str) -> Path:
    """The folder of one target, which need not exist; begun with what the project itself has of it."""
    place, own = target_folder(project_dir) / name, project_dir / "target" / name
    if place != own and not place.exists() and (own / STAMP).is_file():
        _copy(own, place)
    return place


def _copy(own: Path, place: Path) -> None:
    """All of it or nothing: whoever finds the folder finds it complete."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".copied-") as folder:
        copied = Path(folder, place.name)
        shutil.copytree(own, copied, ignore=shutil.ignore_patterns(*_OF_RUNS), copy_function=shutil.copyfile)
        with contextlib.suppress(OSError):  # another process was faster
            copied.rename(place)


def why_not_writable(folder: Path) -> str:
    """Tried out with a file that is gone afterwards; the folder is made if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError as error:
        return error.strerror or str(error)
    return ""
