"""The only reader of the environment: one frozen record that is handed down.

Commands, components and the demo create the record when they start; a test creates its own. `process_environment` is
the only place that changes the environment of this process.
"""

from __future__ import annotations

import getpass
import os
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dagster_defs.older_python import tomllib

_AROUND_THIS_PACKAGE = Path(__file__).resolve().parents[1]  # a checkout, or an environment's packages
LOG_IN = ("USER", "PASSWORD", "TOKEN", "TOKEN_URL", "HEADERS", "LOGIN", "CA", "CERT", "MWAA")
_CHANGING = threading.RLock()
# The environment as stored, and as read: hundreds of units ask, and each copy of it would be decoded anew.
_snapshot: tuple[Mapping[bytes, bytes], Mapping[str, str]] | None = None


def find_project(folder: Path | None = None) -> Path:
    """The nearest Dagster project from the folder (default: the current one) upwards.

    Without one, the checkout that this package belongs to; if it was installed from a wheel, the folder itself.
    """
    start = (folder or Path.cwd()).resolve()
    around = _AROUND_THIS_PACKAGE
    return nearest_project(start) or (around if is_project(around) else start)


def nearest_project(folder: Path) -> Path | None:
    """As `dg` finds it."""
    start = folder.resolve()
    return next(filter(is_project, (start, *start.parents)), None)


def is_project(folder: Path) -> bool:
    """Whether `dg` takes the folder for a Dagster project."""
    return dg_settings(folder).get("directory_type") == "project"


def dg_settings(folder: Path) -> Mapping[str, Any]:
    """What dg.toml or pyproject.toml says to `dg`; empty if neither says anything."""
    own = _toml(folder / "dg.toml")
    settings: Mapping[str, Any] = own or _toml(folder / "pyproject.toml").get("tool", {}).get("dg", {})
    return settings


def _toml(file: Path) -> Mapping[str, Any]:
    try:
        status = file.stat()
    except OSError:
        return {}
    return _toml_as_of(file, (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


@lru_cache(maxsize=32)  # hundreds of units ask for the project's settings
def _toml_as_of(file: Path, _: tuple[int, ...]) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


@dataclass(frozen=True, slots=True)
class Settings:
    """`variables`: the whole environment, inherited by child processes. It may hold passwords. `root`: the Dagster
    project, where the defaults of paths begin. `airflow`: which of the project's Airflows they are about, empty if it
    has one.

    docs/reference.md documents each variable.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    root: Path = field(default_factory=find_project)
    airflow: str = ""

    @classmethod
    def from_process(cls, root: Path | None = None) -> Settings:
        """A snapshot of this process's environment. `root`: by default, the current folder's project."""
        return cls(_variables_now(), root or find_project())

    def with_variables(self, variables: Mapping[str, str]) -> Settings:
        return replace(self, variables=MappingProxyType({**self.variables, **variables}))

    def of_airflow(self, name: str) -> Settings:
        """Those of one of the project's Airflows: its variables end with its name, and it gets no other's."""
        return replace(self, airflow=name)

    @property
    def team_file(self) -> Path:
        """What the team knows about its estate; optional."""
        return self.root / "parity.yaml"

    @property
    def migration_plan(self) -> Path:
        return self.root / "migration_plan.md"

    @property
    def known_mirrors(self) -> Path:
        """A cache."""
        return self.root / ".parity" / "known-mirrors.json"

    @property
    def proxied_state(self) -> Path:
        """The folder with the marks that Airflow reads and, if the store is files, the ledger."""
        return self.named_proxied_state or self._beside_dags / "proxied_state"

    @property
    def named_proxied_state(self) -> Path | None:
        """The folder that PARITY_PROXIED_STATE names."""
        named = self._value("PARITY_PROXIED_STATE")
        return Path(named) if named else None

    @property
    def marks_of_airflow(self) -> Path | None:
        """The folder in which one of several Airflows reads its marks, as far as a variable names it."""
        named = self._of_airflow("PARITY_PROXIED_STATE") if self.airflow else ""
        return Path(named) if named else None

    @property
    def store(self) -> str:
        """PARITY_STORE, where the record is kept; empty for files in `proxied_state`. It may hold a password."""
        return self._value("PARITY_STORE")

    @property
    def channel(self) -> str:
        """PARITY_CHANNEL, how Airflow is told the marks; empty for files in `proxied_state`."""
        return self._value("PARITY_CHANNEL")

    @property
    def _beside_dags(self) -> Path:
        """`legacy_dags`, in a project that has the DAGs itself."""
        own = self.root / "legacy_dags"
        return own if own.is_dir() else self.root

    @property
    def operator(self) -> str:
        """Who makes a move: PARITY_OPERATOR, or `account@machine`."""
        return self._value("PARITY_OPERATOR") or f"{getpass.getuser()}@{socket.gethostname()}"

    @property
    def user_folder(self) -> Path:
        """The home of whoever runs this process."""
        return Path.home()

    @property
    def named_dagster_url(self) -> str:
        """DAGSTER_URL; empty if it is not set."""
        return self._value("DAGSTER_URL")

    @property
    def dagster_url(self) -> str:
        return self.named_dagster_url or "http://127.0.0.1:3000"

    @property
    def dagster_home(self) -> Path | None:
        """The folder of Dagster's dagster.yaml; None if DAGSTER_HOME is not set or is not a folder."""
        home = self._value("DAGSTER_HOME")
        return Path(home) if home and Path(home).is_dir() else None

    @property
    def airflow_url(self) -> str:
        """Empty if one of several has none: it is never looked for at another's address."""
        return self._of_airflow("AIRFLOW_URL") or ("" if self.airflow else "http://127.0.0.1:8080")

    @property
    def airflow_user(self) -> str:
        return self._of_airflow("AIRFLOW_USER")

    @property
    def airflow_password(self) -> str:
        return self._of_airflow("AIRFLOW_PASSWORD")

    @property
    def way_into_airflow(self) -> Mapping[str, str]:
        """What its variables say about logging in, by the rest of their names."""
        return {each: self._of_airflow(f"AIRFLOW_{each}") for each in LOG_IN}

    @property
    def way_into_dagster(self) -> Mapping[str, str]:
        return {each: self._value(f"DAGSTER_{each}") for each in LOG_IN if each != "MWAA"}

    @property
    def dagster_plus_token(self) -> str:
        """DAGSTER_CLOUD_API_TOKEN, Dagster+'s own variable."""
        return self._value("DAGSTER_CLOUD_API_TOKEN")

    @property
    def legacy_target(self) -> str:
        """The dbt target of the legacy side."""
        return self.variables.get("PARITY_LEGACY_TARGET", "legacy")

    @property
    def candidate_target(self) -> str:
        """The dbt target of the candidate side."""
        return self.variables.get("PARITY_CANDIDATE_TARGET", "candidate")

    @property
    def dbt_target_dir(self) -> Path | None:
        """Where the working files of dbt projects go, if not into the projects themselves."""
        named = self._value("PARITY_DBT_TARGET_DIR")
        return Path(named).resolve() if named else None

    @property
    def rehearses(self) -> bool:
        """Whether both dbt targets are those of a rehearsal."""
        return (self.legacy_target, self.candidate_target) == (
            self.rehearsal_target,
            self.rehearsal_candidate_target,
        )

    @property
    def strict(self) -> bool:
        """Whether a broken unit stops the load of all definitions, which a build server may want."""
        return self._value("PARITY_STRICT") not in ("", "0")

    @property
    def forks_workers(self) -> bool:
        """Whether a code server forks the workers of its runs instead of starting each with all of its imports."""
        return self._value("PARITY_FORKED_WORKERS") != "0"

    @property
    def inventory_file(self) -> Path | None:
        """The file that PARITY_INVENTORY names, or the default one if it exists."""
        if named := self._of_airflow("PARITY_INVENTORY"):
            return Path(named)
        default = self._beside_dags / (f"inventory_{self.airflow}.json" if self.airflow else "inventory.json")
        return default if default.is_file() else None

    @property
    def airflow_python(self) -> Path:
        """A Python with Airflow installed, for units that run the DAG files' own operators."""
        return Path(self._value("PARITY_AIRFLOW_PYTHON") or self.root / ".venv-airflow" / "bin" / "python")

    @property
    def task_store(self) -> Path:
        """The folder in which those operators exchange XComs, which may be secret."""
        return Path(self._value("PARITY_TASK_STORE") or self.root / ".parity" / "tasks").resolve()

    @property
    def rehearsal_dir(self) -> Path:
        return Path(self._value("PARITY_REHEARSAL_DIR") or self.root / ".rehearsal").resolve()

    @property
    def rehearsal_target(self) -> str:
        """The dbt target of a rehearsal's legacy side."""
        return self._value("PARITY_REHEARSAL_TARGET") or "rehearsal"

    @property
    def rehearsal_candidate_target(self) -> str:
        return self._value("PARITY_REHEARSAL_CANDIDATE_TARGET") or "rehearsal_candidate"

    @property
    def demo_dir(self) -> Path:
        return Path(self._value("PARITY_DEMO_DIR") or self.root / ".demo").resolve()

    @property
    def airflow_port(self) -> str:
        """The requested port of the demo's Airflow; 0: any free one."""
        return self.variables.get("AIRFLOW_PORT", "0")

    @property
    def dagster_port(self) -> str:
        """The requested port of the demo's Dagster; 0: any free one."""
        return self.variables.get("DAGSTER_PORT", "0")

    @property
    def debug(self) -> bool:
        """Whether an error shows its stack trace."""
        return bool(self._value("PARITY_DEBUG"))

    def of_this_airflow(self, name: str) -> str:
        """The name of a variable that each Airflow has of its own."""
        return f"{name}_{self.airflow.upper()}" if self.airflow else name

    def _of_airflow(self, name: str) -> str:
        return self._value(self.of_this_airflow(name))

    def _value(self, name: str) -> str:
        return self.variables.get(name, "")


def _variables_now() -> Mapping[str, str]:
    global _snapshot
    stored: Mapping[bytes, bytes] | None = getattr(os.environ, "_data", None)
    known = _snapshot  # another thread may replace it
    if stored is not None and known is not None and known[0] == stored:
        return known[1]
    variables = MappingProxyType(dict(os.environ))
    _snapshot = None if stored is None else (dict(stored), variables)
    return variables


@contextmanager
def process_environment(variables: Mapping[str, str], *, without: Collection[str] = ()) -> Iterator[None]:
    """Inside the block, this process has these variables and none of those in `without`; afterwards they are restored.

    Some code reads its process's environment whatever it is handed: dbt and Dagster when they render `env_var` and
    `env`, the estate's business code in `legacy_dags/include`, and the PostgreSQL wheel. Blocks of different threads
    run one after the other.
    """
    with _CHANGING:
        before = {name: os.environ.get(name) for name in {*variables, *without}}
        for name in without:
            os.environ.pop(name, None)
        os.environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
