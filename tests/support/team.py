"""What a team types in its project, and how a test waits for its servers."""

from __future__ import annotations

import json
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from dagster_defs.adapters.processes.supervisor import Supervisor
from dagster_defs.errors import ServerFault

WAIT_SECONDS = 900  # a shared machine may take ten times as long as a quiet one


class Team(ABC):
    """Whoever can run a program in its project."""

    @abstractmethod
    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]: ...

    def must(self, program: str, *arguments: str) -> str:
        done = self.run(program, *arguments)
        said = f"{program} {' '.join(arguments)}\n{done.stdout}\n{done.stderr[-6000:]}"
        assert done.returncode == 0, said
        return done.stdout

    def shown(self, *arguments: str) -> Any:
        """What `parity … --json` prints, whatever its exit code."""
        done = self.run("parity", *arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)


def wait_for(
    supervisor: Supervisor, what: str, ready: Callable[[], bool], seconds: float = WAIT_SECONDS
) -> None:
    """Poll until `ready`; an answer that a server would not give twice is asked for again."""

    def now() -> bool:
        try:
            return ready()
        except ServerFault as error:
            if error.lasting:
                raise
            return False

    supervisor.wait_until(what, now, seconds=seconds, pause=1)
