"""Units: invalid requests, their runs, and their evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dagster_defs.errors.base import ParityError, UsageError


class NoSuchUnit(UsageError):
    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(f"no mirror for unit {name!r}. Known units: {', '.join(known) or 'none'}")


class BadUnit(UsageError):
    def __init__(self, unit: str, reason: str, remedy: str) -> None:
        self.unit, self.reason, self.remedy = unit, reason, remedy
        super().__init__(f"unit {unit}: {reason}. {remedy}")


class BrokenUnits(UsageError):
    """`faults`: each names what is wrong and which units it breaks."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            f"broken units, and PARITY_STRICT is set: {'; '.join(faults)}. Fix them, or unset PARITY_STRICT to load "
            "everything else"
        )


class WindowMissing(UsageError):
    def __init__(self) -> None:
        super().__init__("no window was named. Name the partitions: --from 2024-03-08 --to 2024-03-12")


class WindowDiffers(ParityError):
    def __init__(self, partition: str, window: str, asked: str) -> None:
        self.partition, self.window, self.asked = partition, window, asked
        super().__init__(
            f"partition {partition} has the window {window}, but Airflow asked for {asked}: nothing was run. Compare "
            "the schedule in the unit's YAML with the DAG's"
        )


class RunLives(ParityError):
    """`what`: the Airflow task, or the unit's windows, that both runs are for."""

    def __init__(self, what: str, run_id: str) -> None:
        self.what, self.run_id = what, run_id
        super().__init__(
            f"run {run_id} was already launched for {what} and has not finished: nothing was run. A proxy follows that "
            "run; if its process is gone and Dagster has not noticed, mark the run as canceled in Dagster"
        )


class NotOwner(ParityError):
    """A run that may not write a unit's windows to the production target."""

    def __init__(self, unit: str, reason: str, remedy: str) -> None:
        self.unit, self.reason, self.remedy = unit, reason, remedy
        super().__init__(f"this run may not write {unit}: {reason}. Nothing was written. {remedy}")


class WritesToLegacy(ParityError):
    def __init__(self, unit: str, place: str, remedy: str) -> None:
        self.unit, self.place, self.remedy = unit, place, remedy
        super().__init__(f"{unit}'s candidate would write to legacy's {place}: nothing was run. {remedy}")


class CommandFailed(ParityError):
    """A unit's command that has ended with an error."""

    def __init__(self, unit: str, code: int, remedy: str) -> None:
        self.unit, self.code, self.remedy = unit, code, remedy
        super().__init__(f"the command of {unit} ended with exit code {code}. {remedy}")


class ContainerFailed(ParityError):
    """`engine`: what should have run the container."""

    def __init__(self, unit: str, engine: str, reason: str) -> None:
        self.unit, self.engine, self.reason = unit, engine, reason
        super().__init__(
            f"{engine} did not run the container of {unit}: {reason}. See to it that {engine} can be reached from "
            "Dagster's runs, and that `container` is right in the unit's YAML"
        )


class NotProvedSafe(ParityError):
    """SQL of which it cannot be shown that a candidate writes nothing of legacy's with it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"it is not certain that its candidate stays out of legacy's tables: {reason}")


class CandidateRefused(ParityError):
    """A candidate run that was not started, because of what its unit declares."""

    def __init__(self, unit: str, reason: str, remedy: str) -> None:
        self.unit, self.reason, self.remedy = unit, reason, remedy
        super().__init__(f"{unit} may not run as a candidate: {reason}. Nothing was run. {remedy}")


class LegacyTaskRefused(ParityError):
    """An operator that was not run, or whose outcome is unknown."""

    def __init__(self, unit: str, reason: str, remedy: str) -> None:
        self.unit, self.reason, self.remedy = unit, reason, remedy
        super().__init__(f"{unit} cannot run as a LegacyTask: {reason}. {remedy}")


class LegacyTaskFailed(ParityError):
    """`state`: the task instance's state in Airflow. `final`: Airflow will not try again."""

    def __init__(self, unit: str, state: str, reason: str, *, final: bool) -> None:
        self.unit, self.state, self.reason, self.final = unit, state, reason, final
        super().__init__(f"{unit} has Airflow's state {state}: {reason or 'its log says why'}")


class XComRefused(ParityError):
    """What a function cannot get from another task, or leave for one, outside of Airflow."""

    def __init__(self, unit: str, reason: str, remedy: str) -> None:
        self.unit, self.reason, self.remedy = unit, reason, remedy
        super().__init__(f"{unit}: {reason}. {remedy}")


class TaskStoreUnreadable(ParityError):
    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"cannot read what a task stored in {path}: {reason}. Remove the file and run that task again"
        )


class LegacyOutOfReach(ParityError):
    """`what`: what a candidate run needs from legacy, such as models or a table's history."""

    def __init__(self, unit: str, what: str, reason: str, remedy: str) -> None:
        self.unit, self.what, self.reason, self.remedy = unit, what, reason, remedy
        super().__init__(
            f"{unit}'s candidate cannot read {what} from legacy: {reason}. Nothing was run. {remedy}"
        )


class EvidenceUnreadable(ParityError):
    def __init__(self, home: Path, reason: str) -> None:
        self.home, self.reason = home, reason
        super().__init__(f"cannot read the evidence of {home}: {reason}. Check its dagster.yaml")


class EvidenceMissing(UsageError):
    def __init__(self) -> None:
        super().__init__("no evidence is available. Set DAGSTER_HOME, or name a window to compare it now")


class EventLogMissing(UsageError):
    def __init__(self) -> None:
        super().__init__(
            "no event log is available, and nothing else records who wrote which window. Set DAGSTER_HOME to the "
            "folder of Dagster's dagster.yaml"
        )


class NotRehearsable(UsageError):
    def __init__(self, unit: str, reason: str) -> None:
        self.unit, self.reason = unit, reason
        super().__init__(
            f"unit {unit} cannot be rehearsed: {reason}. Compare it on real runs: parity check {unit} --from …"
        )


class NotRendered(UsageError):
    """`windows` are the missing ones; `first`, `last` and `span` are the options that the exporter needs for them."""

    def __init__(self, unit: str, windows: Sequence[str], first: str, last: str, span: str) -> None:
        self.unit, self.windows, self.first, self.last, self.span = unit, tuple(windows), first, last, span
        super().__init__(
            f"the inventory has no command of {unit} for {', '.join(windows)}: Airflow has not rendered it, and it is "
            "not guessed. Export it where Airflow runs: python inventory.py --dags-folder DIR "
            f"--from {first} --to {last} --window {span} --out inventory.json"
        )


class NoRehearsal(ParityError):
    """`what` is a folder, a dbt target, a model or a source."""

    def __init__(self, what: str, reason: str, remedy: str) -> None:
        self.what, self.reason, self.remedy = what, reason, remedy
        super().__init__(f"no rehearsal: {what} {reason}. {remedy}")
