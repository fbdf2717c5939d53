"""How Airflow is told the marks: in files of one folder, in a Variable for each DAG, set over REST, or by Dagster, whom
tasks ask when they execute.

A channel is told of a mark after the record has it, and is never where a mark is looked up that decides about a write
of Dagster's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.dagster.told_marks import ASSET, ToldMarks
from dagster_defs.adapters.files.airflows import settings_of_each
from dagster_defs.adapters.store import marks as one_dag
from dagster_defs.adapters.store.marks_folders import MarksFolders
from dagster_defs.adapters.store.proxied_state import Marks, refuse_unmarkable, set_up, tell_airflow
from dagster_defs.errors import (
    AirflowFault,
    BadChannel,
    DagsterFault,
    LedgerUnwritable,
    NoMarksFolder,
    ParityError,
)
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.airflows import Airflows
from dagster_defs.settings import Settings

CHANNELS = (FILE, OF_VARIABLES, OF_DAGSTER) = ("file", "variable", "dagster")  # what PARITY_CHANNEL takes
VARIABLE = "parity_marks"  # of the channel itself; a DAG's is `parity_marks__<dag>`
SAID_OF_IT = "Moves of airflow-parity write parity_marks__<dag>, and tasks read their marks there."
MASK = "***"  # what Airflow 3 shows in the place of a value whose name sounds like a secret's
PATIENCE = 10.0  # seconds for one answer of Airflow's


class ChannelReader(Protocol):
    def read(self, dag_id: str = "") -> Marks | None:
        """What Airflow has been told, of all DAGs or of one; a DAG is in doubt if that is not known. None if nobody has
        said where Airflow is told."""
        ...


class Channel(ChannelReader, Protocol):
    """Writes too."""

    def tell(self, unit: Unit, marks: Marks) -> None:
        """Tell Airflow a unit's mark. `marks`: those of its whole DAG, as they are on record now.

        Raises a ParityError if Airflow could not be told.
        """
        ...

    def refuse_unmarkable(self, unit: Unit) -> None:
        """Raises a ParityError if the unit's mark could not be told, whatever its value."""
        ...

    def set_up(self) -> None:
        """Say where marks are told, so that a task can tell `no mark` from `not there`."""
        ...


@dataclass(frozen=True)
class Folders:
    """`told`: where each Airflow reads its marks. `store`: for messages."""

    told: MarksFolders
    store: str

    def read(self, dag_id: str = "") -> Marks | None:
        for folder in self.told.known:
            if not folder.is_dir():
                raise NoMarksFolder(self.store, f"{folder} is not there")
        return self.told.read(dag_id) if self.told.known else None

    def tell(self, unit: Unit, marks: Marks) -> None:
        proxied, position = marks.get(unit, False), marks.position(unit)
        tell_airflow(self._folder_of(unit), unit, proxied=proxied, position=position)

    def refuse_unmarkable(self, unit: Unit) -> None:
        refuse_unmarkable(self._folder_of(unit), unit)

    def set_up(self) -> None:
        for folder in self.told.known:
            try:
                set_up(folder)
            except OSError as error:
                raise LedgerUnwritable(str(folder), error.strerror or str(error)) from error

    def _folder_of(self, unit: Unit) -> Path:
        folder = self.told.folder_of(unit.dag_id)
        if folder is None:
            raise NoMarksFolder(self.store, "PARITY_PROXIED_STATE is not set")
        if not folder.is_dir():
            raise NoMarksFolder(self.store, f"{folder} is not there")
        return folder


@dataclass(frozen=True)
class Variables:
    """A row of Airflow's database for each DAG, which every worker sees at once. `clients`: by the Airflow's name."""

    airflows: Airflows
    clients: Mapping[str, AirflowClient]

    def read(self, dag_id: str = "") -> Marks:
        """Of an Airflow that cannot be asked, its own DAGs are in doubt and no others."""
        told: dict[str, one_dag.Marks] = {}
        unread: dict[str, str] = {}
        for name, client in self.clients.items():
            if dag_id and not self.airflows.may_be_in(dag_id, name):
                continue
            try:
                texts = _texts(client, dag_id)
            except AirflowFault as error:
                unread[name] = str(error)
                continue
            told |= {
                dag: _marks(text, f"the Variable {_name_of(dag)}")
                for dag, text in texts.items()
                if self.airflows.has(name, dag)
            }
        return Marks(told, lambda dag: self._doubt(dag, unread))

    def _doubt(self, dag_id: str, unread: Mapping[str, str]) -> str:
        """About a DAG of which no Variable was read."""
        try:
            return unread.get(self.airflows.of(dag_id), "")
        except ParityError as error:
            return str(error)

    def tell(self, unit: Unit, marks: Marks) -> None:
        self._client(unit.dag_id).set_variable(_name_of(unit.dag_id), _text_of(marks, unit.dag_id))

    def refuse_unmarkable(self, unit: Unit) -> None:
        """Raises AirflowFault if Airflow cannot be asked, or does not let this user see its Variables."""
        self._client(unit.dag_id).variable(_name_of(unit.dag_id))

    def set_up(self) -> None:
        for client in self.clients.values():
            client.set_variable(VARIABLE, SAID_OF_IT)

    def _client(self, dag_id: str) -> AirflowClient:
        """Raises what says that the DAG's Airflow is not known."""
        return self.clients[self.airflows.of(dag_id)]


@dataclass(frozen=True)
class InDagster:
    """`told`: by the very way by which tasks ask."""

    told: ToldMarks

    def read(self, dag_id: str = "") -> Marks:
        try:
            told = self.told.of_dag(dag_id) if dag_id else self.told.of_all()
        except DagsterFault as error:
            reason = str(error)
            return Marks({}, lambda _: reason)
        texts = {dag: one_dag.marks_of_text(text, f"{ASSET}/{dag}") for dag, text in told.texts.items()}
        wiped = {dag: one_dag.Marks(broken=f"{ASSET}/{dag} was wiped in Dagster") for dag in told.wiped}
        return Marks(texts | wiped)

    def tell(self, unit: Unit, marks: Marks) -> None:
        self.told.tell(unit.dag_id, _text_of(marks, unit.dag_id))

    def refuse_unmarkable(self, unit: Unit) -> None:
        """Raises DagsterFault if Dagster cannot be asked. Whether it takes marks is known once it is told one."""
        self.told.of_dag(unit.dag_id)

    def set_up(self) -> None:
        self.told.set_up()


def channel_of(settings: Settings, folders: MarksFolders, store: str) -> Channel:
    """By PARITY_CHANNEL. Raises BadChannel for an unknown one."""
    if (settings.channel or FILE) == FILE:
        return Folders(folders, store)
    if settings.channel == OF_VARIABLES:
        each = settings_of_each(settings) if folders.airflows.dags else [settings]
        clients = {one.airflow: AirflowClient(AirflowAddress.of(one), patience=PATIENCE) for one in each}
        return Variables(folders.airflows, clients)
    if settings.channel == OF_DAGSTER:
        return InDagster(ToldMarks.of(settings))
    raise BadChannel(settings.channel, ", ".join(CHANNELS[:-1]) + f" or {CHANNELS[-1]}")


def _text_of(marks: Marks, dag_id: str) -> str:
    """The marks of a DAG, in the words of the files."""
    of_dag = marks.by_dag.get(dag_id, one_dag.Marks())
    document = {
        "tasks": [{"id": name, "proxied": mark} for name, mark in sorted(of_dag.tasks.items())],
        "positions": dict(sorted(of_dag.positions.items())),
    }
    return json.dumps(document)


def _name_of(dag_id: str) -> str:
    return f"{VARIABLE}__{dag_id}"


def _marks(text: str, name: str) -> one_dag.Marks:
    if MASK in text:
        return one_dag.Marks(broken=f"{name} is masked by Airflow's API, because of what the DAG is called")
    return one_dag.marks_of_text(text, name)


def _texts(client: AirflowClient, dag_id: str) -> dict[str, str]:
    """By DAG id. Raises AirflowFault."""
    if dag_id:
        value = client.variable(_name_of(dag_id))
        return {} if value is None else {dag_id: value}
    prefix = _name_of("")
    told = client.variables().items()
    return {name.removeprefix(prefix): value for name, value in told if name.startswith(prefix)}


def compared(recorded: Marks, told: Marks | None) -> Marks:
    """What Airflow was told, with a doubt for each task of which the record says something else."""
    if told is None:
        return recorded
    nothing = one_dag.Marks()
    by_dag = {
        dag_id: _compared(recorded.by_dag.get(dag_id, nothing), told.of_dag(dag_id))
        for dag_id in sorted({*recorded.by_dag, *told.by_dag})
    }
    return Marks(by_dag, told.doubt_of)


def _compared(recorded: one_dag.Marks, told: one_dag.Marks) -> one_dag.Marks:
    apart = _apart(recorded, told)
    agreed = {task_id: proxied for task_id, proxied in told.tasks.items() if task_id not in apart}
    return replace(told, tasks=agreed, doubts={**apart, **told.doubts})


def _apart(recorded: one_dag.Marks, told: one_dag.Marks) -> Mapping[str, str]:
    """Why the marks of tasks are not those on record, by task; a mark that is missing on one side has no position to
    compare."""
    reasons = {}
    for task_id in sorted({*recorded.tasks, *told.tasks}):
        owners = _owner(told.honoured(task_id)), _owner(recorded.honoured(task_id))
        positions = told.positions.get(task_id), recorded.positions.get(task_id)
        if owners[0] != owners[1]:
            reasons[task_id] = f"of {task_id} Airflow has been told {owners[0]}, the record says {owners[1]}"
        elif task_id in recorded.tasks and task_id in told.tasks and positions[0] != positions[1]:
            reasons[task_id] = (
                f"of {task_id} Airflow has been told the mark of position {positions[0]}, the record has that of "
                f"{positions[1]}"
            )
    return reasons


def _owner(proxied: bool) -> str:
    return "Dagster" if proxied else "Airflow"
