"""Every error that this project raises on purpose.

    ParityError                      exit 1   something went wrong; the message says what, why and what to do
    ├── DbtProjectUnreadable                  dbt cannot parse the project
    ├── DbtFailed                             a dbt command ran and did not succeed
    ├── TimedOut                              a try took longer than the unit's time-out
    ├── MirrorsUnreadable                     the YAML below defs/ cannot be loaded
    ├── ProxiedStateUnreadable                a file of proxied_state/ is not in Airlift's format
    ├── MigrationPlanUnreadable               migration_plan.md is not there, or lost the markers of its status block
    ├── InventoryUnreadable                   an inventory file that is missing, cut off or not one
    ├── InventoryVersion                      an inventory written by another version of the exporter
    ├── NotComparable                         a warehouse that this command cannot read both sides of
    ├── AirflowUnreachable                    the Airflow REST API does not answer as it should
    ├── DagsterUnreachable                    Dagster's GraphQL API does not answer as it should
    ├── ServerDied                            a server that was started here has ended
    ├── ServerSilent                          a server that was started here does not become ready
    ├── AlreadyRunning                        another demo uses the folder
    ├── EnvironmentMissing                    `make setup` has not made the other environment
    ├── EvidenceUnreadable                    Dagster's event log cannot be read
    ├── WritesToLegacy                        a candidate run would write to what legacy writes
    ├── WindowDiffers                         a run was asked for a window that its partition does not have
    ├── RunFailed                             a Dagster or Airflow run did not succeed
    ├── NoRehearsal                           it would write where something else is, or has nothing to read
    ├── InvalidWindow                         a window that does not end after it starts
    ├── DoesNotAdvance                        Airflow's own timetable never gets past an instant
    ├── Unaligned                             an interval that is the window of no partition
    ├── NotRangeable                          variables that cannot span several windows in one run
    ├── TemplateFailed                        a template that loaded fails on one window
    ├── WarehouseError                        the data cannot be read: a comparison becomes inconclusive
    │   ├── RelationUnreadable                a table, view or file that cannot be read
    │   ├── StatementFailed                   the warehouse refused a statement or went away
    │   ├── DatabaseLocked                    another process holds the DuckDB file
    │   └── DatabaseUnreadable                a DuckDB file that is not one, or may not be read
    ├── UsageError                   exit 2   what was asked cannot be done as asked
    │   ├── ScheduleRefused                   a schedule that cannot be read or cannot be mirrored
    │   ├── UnknownPartition                  a partition key that stands for no window of its schedule
    │   ├── TemplateBroken                    a template with a syntax error
    │   ├── TemplateRefused                   a template that needs more than the schedule can tell
    │   ├── NoSuchUnit                        a unit that nothing mirrors
    │   ├── InventoryMissing                  a comparison with Airflow's inventory, and there is none
    │   ├── EvidenceMissing                   evidence was asked for, and there is no event log at hand
    │   ├── WindowMissing                     a comparison without a window
    │   ├── NotRehearsable                    a unit whose command cannot be run again elsewhere
    │   ├── NotRendered                       windows for which the inventory has no rendered command
    │   ├── BadUnit                           a unit's YAML declares something that cannot be
    │   ├── PortInUse                         a port that was asked for is taken
    │   ├── BadPlace                          text that names no relation to compare
    │   ├── BadComparisonFile                 a file of comparisons or tolerances that is not one
    │   ├── BadComparison                     one comparison of such a file that cannot be read
    │   ├── UnknownColumn                     a comparison names a column that a table does not have
    │   ├── ReversedWindow                    a comparison's window ends before it starts
    │   ├── WindowWithoutTime                 a comparison has bounds but no time column
    │   ├── UnusableBound                     a bound that is no value of the time column
    │   ├── BadTolerance                      a tolerance whose value says nothing, or a second one of a column
    │   ├── ToleranceOnKey                    a tolerance on a column that tells which rows belong together
    │   ├── ToleranceWithoutKey               a tolerance of numbers where nothing tells which rows belong together
    │   └── ToleranceOnType                   a tolerance on a column whose type has no such differences

One fact for each class, kept in typed fields; the message is made from them and ends with the remedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar


class ParityError(Exception):
    """Base of all errors; `exit_code` is what the command line returns for it."""

    exit_code: ClassVar[int] = 1


class UsageError(ParityError):
    """The request itself is wrong: nothing was tried."""

    exit_code: ClassVar[int] = 2


class DbtProjectUnreadable(ParityError):
    def __init__(self, project_dir: Path, reason: str) -> None:
        self.project_dir, self.reason = project_dir, reason
        super().__init__(
            f"cannot read the dbt project {project_dir}: {reason}. Look: dbt parse --project-dir {project_dir}"
        )


class DbtFailed(ParityError):
    def __init__(self, command: Sequence[str], failures: Sequence[str], log: Path) -> None:
        self.command, self.failures, self.log = tuple(command), tuple(failures), log
        what = "; ".join(failures) or "no reason given"
        super().__init__(f"dbt {' '.join(command)} failed: {what}. Look: {log}")


class TimedOut(ParityError):
    """`goes_on`: it could not be stopped in time, and may still write."""

    def __init__(self, what: str, seconds: float, goes_on: bool = False) -> None:
        self.what, self.seconds, self.goes_on = what, seconds, goes_on
        end = "could not be stopped: see to it before the next try" if goes_on else "was stopped"
        super().__init__(
            f"{what} took longer than its time-out of {seconds:g} s and {end}. Look at what it waited for, or raise "
            "`execution_timeout` in the DAG and `timeout` in the unit's YAML"
        )


class MirrorsUnreadable(ParityError):
    def __init__(self, project_root: Path, reason: str) -> None:
        self.project_root, self.reason = project_root, reason
        super().__init__(f"cannot load the mirrors below {project_root}: {reason}. Look: dg check defs")


class ProxiedStateUnreadable(ParityError):
    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"cannot read {path}: {reason}. It should say `tasks:` and below it, for each task, `- {{id: …, proxied: "
            "true}`"
        )


class MigrationPlanUnreadable(ParityError):
    def __init__(self, path: Path, reason: str, begin: str, end: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"cannot use {path}: {reason}. Its status block stands between the lines {begin!r} and {end!r}"
        )


class InventoryUnreadable(ParityError):
    def __init__(self, file: str, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(
            f"cannot read the inventory {file}: {reason}. Export it again: python inventory.py --dags-folder DIR "
            f"--from DATE --to DATE --out {file}"
        )


class InventoryVersion(ParityError):
    def __init__(self, file: str, found: str, wanted: str) -> None:
        self.file, self.found, self.wanted = file, found, wanted
        super().__init__(
            f"the inventory {file} is {found!r}, but this version reads {wanted!r}. Export it again with the "
            "inventory.py of this version"
        )


class NotComparable(ParityError):
    def __init__(self, target: str, kind: str) -> None:
        self.target, self.kind = target, kind
        super().__init__(f"dbt target {target!r} is a {kind} warehouse; only DuckDB can be compared so far")


class AirflowUnreachable(ParityError):
    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(
            f"Airflow does not answer at {url}: {reason}. Check that it runs, and AIRFLOW_URL, AIRFLOW_USER and "
            "AIRFLOW_PASSWORD"
        )


class DagsterUnreachable(ParityError):
    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(f"Dagster does not answer at {url}: {reason}. Check that it runs, and DAGSTER_URL")


class RunFailed(ParityError):
    def __init__(self, what: str, state: str, look: str) -> None:
        self.what, self.state, self.look = what, state, look
        super().__init__(f"{what} ended as {state}. Look: {look}")


class NoRehearsal(ParityError):
    """`what` is a folder, a dbt target, a model or a source."""

    def __init__(self, what: str, reason: str, remedy: str) -> None:
        self.what, self.reason, self.remedy = what, reason, remedy
        super().__init__(f"no rehearsal: {what} {reason}. {remedy}")


class ServerDied(ParityError):
    def __init__(self, name: str, exit_code: int, log: Path, tail: str) -> None:
        self.name, self.code, self.log, self.tail = name, exit_code, log, tail
        super().__init__(f"{name} ended with exit code {exit_code}. The end of {log}:\n{tail}")


class ServerSilent(ParityError):
    def __init__(self, name: str, seconds: float, logs: Path) -> None:
        self.name, self.seconds, self.logs = name, seconds, logs
        super().__init__(f"{name} was not ready after {seconds:.0f} s. Look: {logs}")


class AlreadyRunning(ParityError):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"another demo is running in {folder}. Stop it with Ctrl-C in its terminal")


class EnvironmentMissing(ParityError):
    def __init__(self, program: Path, wanted_by: str) -> None:
        self.program, self.wanted_by = program, wanted_by
        super().__init__(
            f"there is no {program}: Airflow lives in an environment of its own. Make it: make setup"
        )


class WindowDiffers(ParityError):
    def __init__(self, partition: str, window: str, asked: str) -> None:
        self.partition, self.window, self.asked = partition, window, asked
        super().__init__(
            f"partition {partition} is the window {window}, but Airflow asked for {asked}: nothing was run. Compare "
            "the schedule in the unit's YAML with the DAG's"
        )


class EvidenceUnreadable(ParityError):
    def __init__(self, home: Path, reason: str) -> None:
        self.home, self.reason = home, reason
        super().__init__(f"cannot read the evidence of {home}: {reason}. Check its dagster.yaml")


class WritesToLegacy(ParityError):
    def __init__(self, unit: str, place: str, remedy: str) -> None:
        self.unit, self.place, self.remedy = unit, place, remedy
        super().__init__(f"{unit}'s candidate would write to legacy's {place}: nothing was run. {remedy}")


class NoSuchUnit(UsageError):
    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(f"nothing mirrors a unit {name!r}. There are: {', '.join(known) or 'none'}")


class EvidenceMissing(UsageError):
    def __init__(self) -> None:
        super().__init__("there is no evidence at hand. Set DAGSTER_HOME, or compare now: name a window")


class WindowMissing(UsageError):
    def __init__(self) -> None:
        super().__init__("no window was named. Say which partitions: --from 2024-03-08 --to 2024-03-12")


class InventoryMissing(UsageError):
    def __init__(self) -> None:
        super().__init__(
            "there is no inventory to compare with. Export one where Airflow runs (python inventory.py --dags-folder "
            "DIR --from DATE --to DATE --out inventory.json) and name it: --inventory FILE, or PARITY_INVENTORY"
        )


class NotRehearsable(UsageError):
    def __init__(self, unit: str, reason: str) -> None:
        self.unit, self.reason = unit, reason
        super().__init__(
            f"unit {unit} cannot be rehearsed: {reason}. Compare it on real runs: parity check {unit} --from …"
        )


class NotRendered(UsageError):
    """`windows` are those that are missing; `first`, `last` and `span` are what the exporter has to be asked for."""

    def __init__(self, unit: str, windows: Sequence[str], first: str, last: str, span: str) -> None:
        self.unit, self.windows, self.first, self.last, self.span = unit, tuple(windows), first, last, span
        super().__init__(
            f"the inventory has no command of {unit} for {', '.join(windows)}: Airflow has not rendered it, and "
            "nothing is guessed. Export it where Airflow runs: python inventory.py --dags-folder DIR "
            f"--from {first} --to {last} --window {span} --out inventory.json"
        )


class BadUnit(UsageError):
    def __init__(self, unit: str, reason: str, remedy: str) -> None:
        self.unit, self.reason, self.remedy = unit, reason, remedy
        super().__init__(f"unit {unit}: {reason}. {remedy}")


class PortInUse(UsageError):
    def __init__(self, port: str, what: str, variable: str) -> None:
        self.port, self.what, self.variable = port, what, variable
        super().__init__(
            f"port {port} for {what} cannot be used. Free it, or set {variable} to another one (0: any free)"
        )


class InvalidWindow(ParityError):
    """`start` and `end` are ISO text: a window that cannot be has no type of its own."""

    def __init__(self, start: str, end: str, reason: str = "a window ends after it starts") -> None:
        self.start, self.end, self.reason = start, end, reason
        super().__init__(
            f"[{start}, {end}) is no window: {reason}. An empty interval comes from a cron trigger timetable "
            "or from a manual run; use the schedule's own data interval"
        )


class ScheduleRefused(UsageError):
    def __init__(self, schedule: str, timezone: str, reason: str, remedy: str) -> None:
        self.schedule, self.timezone, self.reason, self.remedy = schedule, timezone, reason, remedy
        super().__init__(f"schedule {schedule!r} in time zone {timezone!r} is refused: {reason}. {remedy}")


class DoesNotAdvance(ParityError):
    """ISO instants: after a window that ends at `at`, Airflow's next one starts at `step`."""

    def __init__(self, schedule: str, timezone: str, at: str, step: str) -> None:
        self.schedule, self.timezone, self.at, self.step = schedule, timezone, at, step
        super().__init__(
            f"schedule {schedule!r} in {timezone} does not advance: after {at} Airflow's own timetable "
            f"goes to {step}. It counts elapsed time from boundary to boundary, and the clock changes "
            "between these; declare the schedule in UTC, or choose a window away from the change"
        )


class Unaligned(ParityError):
    """An interval that no partition stands for; `nearest` are windows that have a partition."""

    def __init__(self, schedule: str, interval: str, nearest: Sequence[str]) -> None:
        self.schedule, self.interval, self.nearest = schedule, interval, tuple(nearest)
        near = ", ".join(nearest) or "none"
        super().__init__(
            f"{interval} is no window of {schedule}. Nearest: {near}. It was probably triggered by hand; run "
            "the partition of one of these windows"
        )


class UnknownPartition(UsageError):
    def __init__(self, key: str, schedule: str, reason: str) -> None:
        self.key, self.schedule, self.reason = key, schedule, reason
        super().__init__(f"{key!r} is no partition of {schedule}: {reason}")


class NotRangeable(ParityError):
    def __init__(self, unit: str, variables: Sequence[str]) -> None:
        self.unit, self.variables = unit, tuple(variables)
        super().__init__(
            f"{unit} cannot run several windows at once: {', '.join(variables)} depends on the window and is "
            "neither its lower nor its upper bound. Declare `bound: lower` or `bound: upper`, or run one "
            "partition at a time"
        )


class TemplateBroken(UsageError):
    def __init__(self, text: str, line: int, reason: str) -> None:
        self.text, self.line, self.reason = text, line, reason
        super().__init__(f"template {text!r}, line {line}: {reason}. Correct the Jinja text")


class TemplateRefused(UsageError):
    """`needs` is the dotted name as the template says it: `dag_run.conf`, `var.value.bucket`."""

    def __init__(self, text: str, needs: str, reason: str) -> None:
        self.text, self.needs, self.reason = text, needs, reason
        super().__init__(
            f"template {text!r} needs {needs}: {reason}. Use names that the schedule alone determines "
            "(data_interval_start, data_interval_end, ds, params, macros.ds_add, …)"
        )


class TemplateFailed(ParityError):
    def __init__(self, text: str, window: str, reason: str) -> None:
        self.text, self.window, self.reason = text, window, reason
        super().__init__(f"template {text!r} fails on window {window}: {reason}. Correct the expression")


class WarehouseError(ParityError):
    """Base of what keeps data from being read."""


class RelationUnreadable(WarehouseError):
    def __init__(self, relation: str, why: str) -> None:
        self.relation, self.why = relation, why
        super().__init__(f"cannot read {relation}: {why}")


class StatementFailed(WarehouseError):
    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the warehouse refused a statement: {why}")


class DatabaseLocked(WarehouseError):
    """`holder` is the process id where DuckDB told it."""

    def __init__(self, file: Path, holder: int | None, waited_s: float) -> None:
        self.file, self.holder, self.waited_s = file, holder, waited_s
        who = f"process {holder}" if holder else "another connection"
        look = f"Look: ps -fp {holder}" if holder else f"Look: fuser -v {file}"
        super().__init__(
            f"{file} is locked by {who} after {waited_s:g} s of waiting: close it and repeat. {look}"
        )


class DatabaseUnreadable(WarehouseError):
    def __init__(self, file: Path, why: str) -> None:
        self.file, self.why = file, why
        super().__init__(f"cannot open {file} as a DuckDB database: {why}")


class BadPlace(UsageError):
    def __init__(self, text: str, reason: str) -> None:
        self.text, self.reason = text, reason
        super().__init__(
            f"{text!r} names no relation: {reason}. Write file.duckdb::schema.table, file.parquet, or "
            "target::schema.table for a target of the dbt project's profile"
        )


class BadComparisonFile(UsageError):
    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(f"cannot read {file}: {reason}. Its form: docs/reference.md, parity compare")


class BadComparison(UsageError):
    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"comparison {name}: {reason}")


class UnknownColumn(UsageError):
    def __init__(self, comparison: str, column: str, relation: str, known: Sequence[str]) -> None:
        self.comparison, self.column, self.relation, self.known = comparison, column, relation, tuple(known)
        super().__init__(
            f"comparison {comparison}: {relation} has no column {column!r}. It has: {', '.join(known)}"
        )


class ReversedWindow(UsageError):
    def __init__(self, comparison: str, lower: str, upper: str) -> None:
        self.comparison, self.lower, self.upper = comparison, lower, upper
        super().__init__(
            f"comparison {comparison}: the window [{lower}, {upper}) ends before it starts: swap its bounds"
        )


class WindowWithoutTime(UsageError):
    def __init__(self, comparison: str) -> None:
        self.comparison = comparison
        super().__init__(
            f"comparison {comparison} has a window but no time column: name one, or compare the whole tables"
        )


class UnusableBound(UsageError):
    def __init__(self, comparison: str, bound: str, column: str, column_type: str) -> None:
        self.comparison, self.bound, self.column, self.column_type = comparison, bound, column, column_type
        super().__init__(
            f"comparison {comparison}: the bound {bound!r} is no value of column {column!r} ({column_type})"
        )


class BadTolerance(UsageError):
    def __init__(self, comparison: str, column: str, kind: str, why: str) -> None:
        self.comparison, self.column, self.kind, self.why = comparison, column, kind, why
        super().__init__(f"comparison {comparison}: the tolerance {kind} of column {column!r} {why}")


class ToleranceOnKey(UsageError):
    def __init__(self, comparison: str, column: str, kind: str) -> None:
        self.comparison, self.column, self.kind = comparison, column, kind
        super().__init__(
            f"comparison {comparison}: column {column!r} is part of the key and cannot have the tolerance {kind}: "
            "the key tells which rows belong together. Take the column out of the key, or drop the tolerance"
        )


class ToleranceWithoutKey(UsageError):
    def __init__(self, comparison: str, column: str, kind: str) -> None:
        self.comparison, self.column, self.kind = comparison, column, kind
        super().__init__(
            f"comparison {comparison}: the tolerance {kind} of column {column!r} needs a key that tells which "
            "numbers belong together. Name the key"
        )


class ToleranceOnType(UsageError):
    def __init__(self, comparison: str, column: str, kind: str, column_type: str, needs: str) -> None:
        self.comparison, self.column, self.kind = comparison, column, kind
        self.column_type, self.needs = column_type, needs
        super().__init__(
            f"comparison {comparison}: the tolerance {kind} of column {column!r} needs {needs}, and the column is "
            f"{column_type}. Correct the tolerance, or declare the column ignored"
        )
