"""`make release VERSION=x.y.z`: a version in its one place and in the changes, and both wheels, built and tried out.

It changes two files and builds into `dist/`; what publishes anything is printed for a person to do.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.version import Version

from bench.environments import Environment, StepFailed
from dagster_defs.adapters.files import atomic
from demo.checkout import PROJECT_ROOT

VERSION_FILE = Path("legacy_dags", "handover", "VERSION")
CHANGES = Path("CHANGELOG.md")
COMPONENTS = ("AirflowEstate", "DbtUnit", "PythonUnit")
_NOT_RELEASED = "## Not released\n"
_NUMBERS = re.compile(r"\d+\.\d+\.\d+")
# Airflow's half has to import where no Dagster is; here no Airflow is, either.
_WITHOUT_AIRFLOW = "import handover.inventory, handover.marks; print(handover.__file__)"


class Refused(Exception):
    """Why there is no release; nothing has been changed."""


@dataclass(frozen=True)
class Release:
    """`root`: the checkout. `build` puts both wheels into a folder, `try_out` runs what is in them; both raise
    StepFailed."""

    root: Path
    build: Callable[[Path], None]
    try_out: Callable[[Path], None]

    def make(self, version: str, day: date) -> str:
        """What a person does next. Raises Refused, or StepFailed; then both files are as they were."""
        changes = released(self._read(CHANGES), version, day)
        before = self._read(VERSION_FILE).strip()
        if Version(version) < Version(before):
            raise Refused(f"{version} comes before the version that this is, {before}. Choose a later one")
        if dirty := self._git("status", "--porcelain"):
            raise Refused(
                f"the checkout has changes that are in no commit:\n{dirty}Commit them or take them back"
            )
        self._refuse_old_licences()
        try:
            atomic.write_text(self.root / CHANGES, changes)
            atomic.write_text(self.root / VERSION_FILE, f"{version}\n")
            dist = self.root / "dist"
            self.build(dist)
            self.try_out(dist)
        except BaseException:
            self._git("checkout", "--", str(CHANGES), str(VERSION_FILE))
            raise
        return NEXT.format(version=version)

    def _refuse_old_licences(self) -> None:
        file = self.root / "requirements" / "licences.md"
        table = subprocess.run(
            [sys.executable, self.root / "requirements" / "licences.py"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if table.returncode != 0 or table.stdout != file.read_text():
            raise Refused("the list of licences is not that of what is installed. Renew it: make licences")

    def _read(self, file: Path) -> str:
        return (self.root / file).read_text()

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Refused(f"git {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout


NEXT = """\
Both wheels of {version} are in dist/ and have been tried out. Nothing has been committed or published. Next:
  git commit -am 'Version {version}'
  git tag -a v{version} -m 'Version {version}'
  git push && git push origin v{version}
  uv publish dist/*
"""


def released(changes: str, version: str, day: date) -> str:
    """The changes with what was not released under the version. Raises Refused."""
    if not _NUMBERS.fullmatch(version):
        raise Refused(
            f"{version or 'nothing'} is no version. Write three numbers: make release VERSION=1.2.3"
        )
    if f"\n## {version} " in changes:
        raise Refused(f"{CHANGES} has a section of {version} already. Choose a later version")
    before, heading, after = changes.partition(_NOT_RELEASED)
    if not heading or not after.partition("\n## ")[0].strip():
        raise Refused(f"{CHANGES} says of nothing that it is not released. Write down what has changed")
    return f"{before}{_NOT_RELEASED}\n## {version} ({day.isoformat()})\n{after}"


def build(dist: Path) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "dist", f"DIST={dist}"],
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise StepFailed(f"make dist: {done.stderr.strip()}")


def try_out(dist: Path) -> None:
    """Install each wheel into an environment of its own, with the locked versions of what it needs, and use it:
    Dagster's makes a project that loads, Airflow's imports and shows its help. Raises StepFailed."""
    [dagsters], [airflows] = dist.glob("airflow_parity-*.whl"), dist.glob("airflow_parity_handover-*.whl")
    # Not below this checkout, which is a Dagster project itself: a command would take it for the project.
    with TemporaryDirectory(prefix="parity-release-") as folder:
        _try_airflows(Environment(Path(folder, "airflow"), Path(sys.executable)), airflows)
        _try_dagsters(Environment(Path(folder, "dagster"), Path(sys.executable)), dagsters)


def _try_airflows(environment: Environment, wheel: Path) -> None:
    environment.make()
    environment.install("--no-deps", str(wheel), "pyyaml")
    shown = environment.run("airflow-inventory", "--help", cwd=environment.folder)
    place = environment.run("python", "-c", _WITHOUT_AIRFLOW, cwd=environment.folder).strip()
    if "--dags-folder" not in shown or not Path(place).is_relative_to(environment.folder):
        raise StepFailed(f"airflow-inventory shows {shown!r}, and handover is {place}")


def _try_dagsters(environment: Environment, wheel: Path) -> None:
    environment.make()
    locked = ("--constraint", str(PROJECT_ROOT / "requirements" / "dagster.txt"))
    environment.install(*locked, f"{wheel}[duckdb]", "dagster-dg-cli")
    version = environment.run("parity", "--version", cwd=environment.folder)
    if version.split()[-1] != wheel.name.split("-")[1]:
        raise StepFailed(f"parity --version says {version.strip()}, and the wheel is {wheel.name}")
    project = environment.folder / "harbour"
    project.mkdir()
    for command in (("parity", "init"), ("dg", "check", "defs"), ("parity", "status")):
        environment.run(*command, cwd=project)
    types = environment.run("dg", "list", "components", "--json", cwd=project)
    if missing := [each for each in COMPONENTS if f"dagster_defs.components.{each}" not in types]:
        raise StepFailed(f"dg list components lacks {', '.join(missing)}")


def main(arguments: list[str]) -> int:
    try:
        release = Release(PROJECT_ROOT, build, try_out)
        sys.stdout.write(release.make(arguments[0] if arguments else "", date.today()))  # noqa: DTZ011 - a person's day
    except (Refused, StepFailed) as error:
        sys.stderr.write(f"no release: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
