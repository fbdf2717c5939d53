"""What the environment says, read here and nowhere else, into one frozen record that is handed down.

A command, a component and the demo make the record when they begin; a test makes its own. `process_environment` is the
only place that changes the environment of this process.
"""

from __future__ import annotations

import getpass
import os
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

PROJECT_ROOT = Path(__file__).resolve().parents[1]
TEAM_FILE = PROJECT_ROOT / "parity.yaml"  # what the team knows of its estate; it need not be there

_CHANGING = threading.RLock()


@dataclass(frozen=True, slots=True)
class Settings:
    """`variables`: the whole environment, which processes that are started here inherit. It may hold passwords.

    docs/reference.md says what each variable means.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_process(cls) -> Settings:
        """The environment of this process, as it is now."""
        return cls(MappingProxyType(dict(os.environ)))

    def with_variables(self, variables: Mapping[str, str]) -> Settings:
        return Settings(MappingProxyType({**self.variables, **variables}))

    @property
    def proxied_state(self) -> Path:
        """The folder with the ledger and the marks, which Airflow reads too."""
        return Path(self._said("PARITY_PROXIED_STATE") or PROJECT_ROOT / "legacy_dags" / "proxied_state")

    @property
    def operator(self) -> str:
        """Who makes a move: PARITY_OPERATOR, or the account and the machine."""
        return self._said("PARITY_OPERATOR") or f"{getpass.getuser()}@{socket.gethostname()}"

    @property
    def user_folder(self) -> Path:
        """The home of whoever runs this process."""
        return Path.home()

    @property
    def named_dagster_url(self) -> str:
        """Empty where nobody has said where Dagster answers."""
        return self._said("DAGSTER_URL")

    @property
    def dagster_url(self) -> str:
        return self.named_dagster_url or "http://127.0.0.1:3000"

    @property
    def dagster_home(self) -> Path | None:
        """The folder of Dagster's dagster.yaml; None without DAGSTER_HOME, and where it names no folder."""
        home = self._said("DAGSTER_HOME")
        return Path(home) if home and Path(home).is_dir() else None

    @property
    def airflow_url(self) -> str:
        return self._said("AIRFLOW_URL") or "http://127.0.0.1:8080"

    @property
    def airflow_user(self) -> str:
        return self._said("AIRFLOW_USER")

    @property
    def airflow_password(self) -> str:
        return self._said("AIRFLOW_PASSWORD")

    @property
    def legacy_target(self) -> str:
        """The dbt target of the legacy side."""
        return self.variables.get("PARITY_LEGACY_TARGET", "legacy")

    @property
    def candidate_target(self) -> str:
        """The dbt target of the candidate side."""
        return self.variables.get("PARITY_CANDIDATE_TARGET", "candidate")

    @property
    def strict(self) -> bool:
        """Whether a broken unit stops the load of all definitions, as a build server may want it."""
        return self._said("PARITY_STRICT") not in ("", "0")

    @property
    def inventory_file(self) -> Path | None:
        """The file that PARITY_INVENTORY names, or legacy_dags/inventory.json if it is there."""
        if named := self._said("PARITY_INVENTORY"):
            return Path(named)
        usual = PROJECT_ROOT / "legacy_dags" / "inventory.json"
        return usual if usual.is_file() else None

    @property
    def airflow_python(self) -> Path:
        """A Python that has Airflow, for units that run the operators of the DAG files themselves."""
        return Path(self._said("PARITY_AIRFLOW_PYTHON") or PROJECT_ROOT / ".venv-airflow" / "bin" / "python")

    @property
    def task_store(self) -> Path:
        """The folder of what those operators left behind for each other; XComs may be secret."""
        return Path(self._said("PARITY_TASK_STORE") or PROJECT_ROOT / ".parity" / "tasks").resolve()

    @property
    def rehearsal_dir(self) -> Path:
        return Path(self._said("PARITY_REHEARSAL_DIR") or PROJECT_ROOT / ".rehearsal").resolve()

    @property
    def rehearsal_target(self) -> str:
        """The dbt target of a rehearsal's legacy side."""
        return self._said("PARITY_REHEARSAL_TARGET") or "rehearsal"

    @property
    def rehearsal_candidate_target(self) -> str:
        return self._said("PARITY_REHEARSAL_CANDIDATE_TARGET") or "rehearsal_candidate"

    @property
    def demo_dir(self) -> Path:
        return Path(self._said("PARITY_DEMO_DIR") or PROJECT_ROOT / ".demo").resolve()

    @property
    def airflow_port(self) -> str:
        """The port that somebody wants for the demo's Airflow; 0: any free one."""
        return self.variables.get("AIRFLOW_PORT", "0")

    @property
    def dagster_port(self) -> str:
        """The port that somebody wants for the demo's Dagster; 0: any free one."""
        return self.variables.get("DAGSTER_PORT", "0")

    @property
    def debug(self) -> bool:
        """Whether an error shows its stack trace."""
        return bool(self._said("PARITY_DEBUG"))

    def _said(self, name: str) -> str:
        return self.variables.get(name, "")


@contextmanager
def process_environment(variables: Mapping[str, str], *, without: Collection[str] = ()) -> Iterator[None]:
    """This process has these variables, and none of those in `without`, for as long as the block takes.

    For what looks at the environment of its own process, whatever it is handed: dbt and Dagster while they render
    `env_var` and `env`, the estate's business code in `legacy_dags/include`, and the PostgreSQL wheel. Afterwards each
    of these variables is as it was. Blocks of two threads follow each other.
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
