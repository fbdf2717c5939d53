"""A `dbt` program of another environment: which file it is, and which dbt it says that it is."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType

from typing_extensions import Self

from dagster_defs.adapters.dbt.environment import dbt_environment
from dagster_defs.adapters.dbt.working_folders import target_folder
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.processes.guardian import GUARDIAN
from dagster_defs.adapters.processes.piped import end_group
from dagster_defs.errors import DbtUnusable

OLDEST = (1, 8)
_SECONDS_TO_SAY = 120  # dbt asks its registry for newer versions, with patience
# dbt-core lists itself below "Core:", earlier versions in a line of their own; dbt Fusion says only its name.
_CORE = re.compile(r"installed(?: version)?:\s*v?(\d+\.\d+\S*)")
_FUSION = re.compile(r"^dbt(?:-fusion|-core)?\s+v?(\d+\.\d+\S*)\s*$", re.MULTILINE)
_PLUGIN = re.compile(r"^\s+- (\w+):\s*(\d+\.\d+\S*)", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# They would lead another environment's Python to this one's packages.
_OF_THIS_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV")

_Said = tuple[str, tuple[str, ...]]  # the version and the adapters


@dataclass(frozen=True, slots=True)
class DbtExecutable:
    """`adapters`: name and version of each, `duckdb 1.10.0`; none if the program does not say them."""

    path: Path
    version: str
    adapters: tuple[str, ...] = ()

    @classmethod
    def named(cls, name: str, file: Path) -> Self:
        """The program of this path, or of this name on PATH, as it describes itself. It is asked once, and again when
        it has changed; the answer is kept in the file. Raises DbtUnusable."""
        path = _file_of(name)
        try:
            changed = path.stat().st_mtime_ns
        except OSError as error:
            raise DbtUnusable(str(path), error.strerror or "it cannot be read") from error
        kept = _read(file)
        said = kept.get(str(path), {})
        match said:
            case {"changed": known, "version": str(version), "adapters": [*adapters]} if known == changed:
                return cls(path, version, tuple(map(str, adapters)))
        version, found = _ask(path)
        refuse_too_old(str(path), version)
        document = {"changed": changed, "version": version, "adapters": found}
        atomic.write_json(file, {**kept, str(path): document})
        return cls(path, version, found)

    @property
    def key(self) -> str:
        """Equal for two that may share what they keep of a parse."""
        return f"{self.path} {self.version} {' '.join(self.adapters)}"

    @property
    def is_fusion(self) -> bool:
        return _release(self.version) >= (2,)


def kept_in(project_dir: Path) -> Path:
    """Where a project keeps what its executables have said."""
    return target_folder(project_dir) / "executables.json"


def forget(executable: DbtExecutable, file: Path) -> None:
    """Have it asked again: it has turned out to be another version, behind the same file."""
    kept = {path: said for path, said in _read(file).items() if path != str(executable.path)}
    atomic.write_json(file, kept)


def environment_of(given: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """The environment for another dbt: this process's, without what is its own Python's, and what is given."""
    kept = {name: value for name, value in dbt_environment().items() if name not in _OF_THIS_PYTHON}
    return {**kept, **given}


def _read(file: Path) -> Mapping[str, Mapping[str, object]]:
    kept = atomic.read_cache(file) or {}
    return {path: said for path, said in kept.items() if isinstance(said, dict)}


def _file_of(name: str) -> Path:
    if "/" not in name:
        found = shutil.which(name, path=dbt_environment().get("PATH"))
        if found is None:
            raise DbtUnusable(name, "there is no such program on PATH")
        return Path(found)
    if Path(name).is_dir():
        raise DbtUnusable(name, "it is a folder")
    if not Path(name).exists():
        raise DbtUnusable(name, "there is no such file")
    return Path(name)


def _ask(path: Path) -> _Said:
    code, text = _answer(path)
    version = _CORE.search(text) or _FUSION.search(text)
    if version is None:
        lines = text.strip().splitlines() or ["nothing"]
        reason = f"`--version` exits {code} and names no version of dbt, but says {lines[-1].strip()!r}"
        raise DbtUnusable(str(path), reason)
    return version[1], tuple(f"{plugin[1]} {plugin[2]}" for plugin in _PLUGIN.finditer(_plugins(text)))


def _answer(path: Path) -> tuple[int, str]:
    """Exit code and output of `--version`. What the program leaves running is ended."""
    with TemporaryFile() as output:  # which, unlike a pipe, nobody can hold open
        try:
            process = GUARDIAN.start(
                [str(path), "--version"],
                env=environment_of(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise DbtUnusable(str(path), f"it cannot be started: {error.strerror or error}") from error
        try:
            code = process.wait(_SECONDS_TO_SAY)
        except subprocess.TimeoutExpired as error:
            reason = f"it has not answered `--version` in {_SECONDS_TO_SAY} s"
            raise DbtUnusable(str(path), reason) from error
        finally:
            end_group(process.pid)
            process.wait()
            GUARDIAN.forget(process.pid)
        output.seek(0)
        return code, _COLOUR.sub("", output.read().decode("utf-8", "replace"))


def _plugins(text: str) -> str:
    return text.partition("Plugins:")[2]


def refuse_too_old(program: str, version: str, *remedy: str) -> None:
    """Raises DbtUnusable."""
    if _release(version) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise DbtUnusable(
            program, f"it is dbt {version}, and the oldest that can be run is {oldest}", *remedy
        )


def _release(version: str) -> tuple[int, ...]:
    major, minor, *_ = (*(int(part) for part in re.findall(r"\d+", version)[:2]), 0, 0)
    return major, minor
