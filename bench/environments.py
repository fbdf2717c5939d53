"""Virtual environments with our wheels, away from this repository."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dagster_defs.adapters.files import atomic
from demo.checkout import PROJECT_ROOT


class StepFailed(Exception):
    """The last lines that a command printed."""


@dataclass
class Environment:
    """A virtual environment, and the commands that run in it."""

    folder: Path
    python: Path
    variables: dict[str, str] = field(default_factory=dict)

    def make(self) -> None:
        self.uv("venv", "--clear", "--python", str(self.python), str(self.folder))

    def install(self, *packages: str, before: str = "", overrides: Sequence[str] = ()) -> None:
        """`before`: a day; only what was released until then. `overrides`: requirements that replace all others."""
        arguments = ["--exclude-newer", before] if before else []
        if overrides:
            file = self.folder / "overrides.txt"
            atomic.write_text(file, "\n".join(overrides) + "\n")
            arguments += ["--override", str(file)]
        self.uv("pip", "install", "--python", str(self.programs / "python"), *arguments, *packages)

    def uv(self, *arguments: str) -> None:
        variables = {"UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_LINK_MODE": "copy"}
        path = {"PYTHONPATH": str(PROJECT_ROOT / ".tools" / "uv")}
        completed([sys.executable, "-m", "uv", "--quiet", *arguments], {**os.environ, **variables, **path})

    def run(self, program: str, *arguments: str, cwd: Path) -> str:
        """What it prints. Raises StepFailed."""
        return completed([str(self.programs / program), *arguments], self.surroundings, cwd)

    @property
    def programs(self) -> Path:
        return self.folder / "bin"

    @property
    def surroundings(self) -> dict[str, str]:
        """The environment's programs come first; nothing of this repository is on any path."""
        path = os.pathsep.join([str(self.programs), os.defpath])
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "PATH": path, "COLUMNS": "200", **self.variables}


def completed(command: Sequence[str], variables: Mapping[str, str], cwd: Path | None = None) -> str:
    """What a program prints that succeeds. Raises StepFailed."""
    done = subprocess.run(
        command, env=variables, cwd=cwd, capture_output=True, text=True, check=False, timeout=1200
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise StepFailed(f"{Path(command[0]).name} exited {done.returncode}: " + " / ".join(said[-3:]))
    return done.stdout
