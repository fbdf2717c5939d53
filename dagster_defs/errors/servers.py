"""Airflow, Dagster, and the processes that this project starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from dagster_defs.errors.base import ParityError, UsageError


class ServerFault(ParityError):
    """Base of servers' faults. `lasting`: a retry would not help."""

    fact: ClassVar[str] = "{name} does not answer at {url}"
    name: ClassVar[str] = "the server"
    remedy: ClassVar[str] = "Check that it is running"

    def __init__(self, url: str, reason: str, *, lasting: bool = False) -> None:
        self.url, self.reason, self.lasting = url, reason, lasting
        fact = self.fact.format(name=self.name, url=url)
        super().__init__(f"{fact}: {reason}. {self.remedy}")


class BadLogin(UsageError):
    """`name`: the variable, or what the variables begin with."""

    def __init__(self, name: str, why: str, remedy: str) -> None:
        self.name, self.why, self.remedy = name, why, remedy
        super().__init__(f"cannot log in by {name}: {why}. {remedy}")


class AirflowFault(ServerFault):
    """Base of Airflow's faults: what code catches that can do without Airflow."""

    name = "Airflow"


class AirflowWithoutAddress(AirflowFault):
    """One of several Airflows whose address is nowhere. `url`: the variable that would have it."""

    fact = "{name}'s address is expected in {url}"
    remedy = "Set it where Dagster and `parity` run, with the user and the password beside it"


class AirflowUnreachable(AirflowFault):
    """Transport: no answer came."""

    remedy = "Check that it is running, and check AIRFLOW_URL, AIRFLOW_USER and AIRFLOW_PASSWORD"


class AirflowRefuses(AirflowFault):
    fact = "{name} at {url} refuses the request"
    remedy = "Check AIRFLOW_URL, AIRFLOW_USER and AIRFLOW_PASSWORD, and this user's permissions in Airflow"


class AirflowUnclear(AirflowFault):
    fact = "{name} at {url} gave an unexpected answer"
    remedy = "Check that AIRFLOW_URL is the address of an Airflow 2.x or 3.x"


class AirflowUpgraded(AirflowFault):
    """The question was put in the words of another API than the server has by now."""

    fact = "{name} at {url} has another version than a moment ago"
    remedy = "Ask again"


class AirflowBehind(AirflowFault):
    fact = "{name} at {url} is not up to date"
    remedy = "Wait until it has parsed the DAG again"


class DagsterFault(ServerFault):
    """Base of Dagster's faults: what code catches that can do without Dagster."""

    name = "Dagster"


class DagsterUnreachable(DagsterFault):
    """Transport: no answer came."""

    remedy = "Check that it is running, and check DAGSTER_URL"


class DagsterRefuses(DagsterFault):
    fact = "{name} at {url} refuses the request"
    remedy = "Check DAGSTER_URL, and your access to it"


class DagsterUnclear(DagsterFault):
    fact = "{name} at {url} gave an unexpected answer"
    remedy = "Check that DAGSTER_URL is the address of a Dagster webserver, and check its version"


class DagsterCannot(DagsterFault):
    """It understands the question, and says that it could not do it."""

    fact = "{name} at {url} could not do what it was asked for"
    remedy = "Look at its log"


class LaunchRefused(ParityError):
    """No run has begun: Dagster has no such job, or does not take the run's configuration or partitions."""

    def __init__(self, job: str, reason: str, look: str) -> None:
        self.job, self.reason, self.look = job, reason, look
        super().__init__(f"Dagster did not launch {job}: {reason}. Look: {look}")


class RunFailed(ParityError):
    """A run in Dagster or Airflow that has begun, and has ended otherwise than with success."""

    def __init__(self, what: str, state: str, look: str) -> None:
        self.what, self.state, self.look = what, state, look
        super().__init__(f"{what} ended as {state}. Look: {look}")


class DagNotImported(ParityError):
    """`trace`: Airflow's, of the import of the DAG file."""

    def __init__(self, file: str, trace: str, look: str) -> None:
        self.file, self.trace, self.look = file, trace, look
        super().__init__(f"Airflow cannot import {file}: {trace}. Look: {look}")


class WritersAmiss(ParityError):
    """`against`: windows of the unit that nobody has written, or more than one."""

    def __init__(self, unit: str, against: Sequence[str], look: str) -> None:
        self.unit, self.against, self.look = unit, tuple(against), look
        super().__init__(f"{unit}: not each window has one writer: {'; '.join(against)}. Look: {look}")


class ServerDied(ParityError):
    def __init__(self, name: str, exit_code: int, log: Path, tail: str) -> None:
        self.name, self.code, self.log, self.tail = name, exit_code, log, tail
        super().__init__(f"{name} exited with code {exit_code}. The end of {log}:\n{tail}")


class ServerSilent(ParityError):
    def __init__(self, name: str, seconds: float, logs: Path) -> None:
        self.name, self.seconds, self.logs = name, seconds, logs
        super().__init__(f"{name} was not ready after {seconds:.0f} s. Look: {logs}")


class AlreadyRunning(ParityError):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"another demo is running in {folder}. Stop it with Ctrl-C in its terminal")


class DemoFolderTaken(UsageError):
    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"the demo cannot use {folder}: it {reason}. Set PARITY_DEMO_DIR to a folder that does not exist yet, "
            "or remove this one yourself"
        )


class EnvironmentMissing(ParityError):
    """`made_by`: the command that creates it."""

    def __init__(self, program: Path, wanted_by: str, made_by: str = "make setup") -> None:
        self.program, self.wanted_by, self.made_by = program, wanted_by, made_by
        super().__init__(
            f"{program} does not exist: Airflow needs an environment of its own. Create it: {made_by}"
        )


class DemoMissing(ParityError):
    def __init__(self, root: Path) -> None:
        self.root = root
        super().__init__(
            f"there is no demo beside {root}: it is part of the repository, not of the installed package. "
            "Check out the repository and run there: make demo"
        )


class PortInUse(UsageError):
    def __init__(self, port: str, what: str, variable: str) -> None:
        self.port, self.what, self.variable = port, what, variable
        super().__init__(
            f"port {port} for {what} cannot be used. Free it, or set {variable} to another port (0: any free one)"
        )
