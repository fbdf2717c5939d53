"""Every error that this project raises on purpose.

    ParityError                      exit 1   something went wrong; the message says what, why and what to do
    ├── DbtProjectUnreadable                  dbt cannot parse the project
    ├── DbtSelectionRefused                   a selection that dbt cannot read
    ├── DbtFailed                             a dbt command ran and did not succeed
    ├── TimedOut                              a try took longer than the unit's time-out
    ├── MirrorsUnreadable                     the YAML below defs/ cannot be loaded
    ├── ProxiedStateUnreadable                a file of proxied_state/ is not in Airlift's format
    ├── MarkedAsAWhole                        a mark of one unit where its DAG is marked as such
    ├── MigrationPlanUnreadable               migration_plan.md is not there, or lost the markers of its status block
    ├── ReportUnwritable                      the page of a report cannot be written
    ├── InventoryUnreadable                   an inventory file that is missing, cut off or not one
    ├── InventoryVersion                      an inventory written by another version of the exporter
    ├── NotComparable                         a warehouse that this command cannot read both sides of
    ├── ServerFault                           a server does not do what it is asked for
    │   ├── AirflowUnreachable                the Airflow REST API does not answer
    │   │   ├── AirflowRefuses                it answers with a status that says no
    │   │   └── AirflowUnclear                it answers with something that does not mean anything
    │   └── DagsterUnreachable                Dagster's GraphQL API does not answer
    │       ├── DagsterRefuses                it answers with a status that says no
    │       ├── DagsterCannot                 it answers that it could not do what was asked
    │       └── DagsterUnclear                it answers with something that does not mean anything
    ├── ServerDied                            a server that was started here has ended
    ├── ServerSilent                          a server that was started here does not become ready
    ├── AlreadyRunning                        another demo uses the folder
    ├── DemoMissing                           the demo's package is not there
    ├── EnvironmentMissing                    `make setup` has not made the other environment
    ├── EvidenceUnreadable                    Dagster's event log cannot be read
    ├── WritesToLegacy                        a candidate run would write to what legacy writes
    ├── LegacyTaskRefused                     an operator that was not run in Airflow's environment
    ├── LegacyTaskFailed                      an operator that ran there and did not succeed
    ├── TaskStoreUnreadable                   what an operator left behind cannot be read
    ├── LegacyOutOfReach                      legacy does not have what a candidate run begins with
    ├── WindowDiffers                         a run was asked for a window that its partition does not have
    ├── RunLives                              another run of the same windows has not ended
    ├── NotOwner                              a run that may not write where everybody reads
    ├── RunFailed                             a Dagster or Airflow run did not succeed
    ├── LaunchRefused                         Dagster does not begin a run
    ├── FunctionMissing                       a function that Airflow calls is not there
    ├── DagNotImported                        Airflow cannot import a DAG file
    ├── WritersAmiss                          windows that nobody has written, or more than one
    ├── NoRehearsal                           it would write where something else is, or has nothing to read
    ├── LedgerUnreadable                      a line of the ledger that no version of this command has written
    ├── LedgerVersion                         a line of the ledger that another version has written
    ├── LedgerUnwritable                      the ledger or a mark cannot be written; nothing was
    ├── MoveInProgress                        a move of the unit was begun and is not over
    ├── MoveOvertaken                         somebody else has moved the unit meanwhile
    ├── StepFailed                            a move stopped at a step, half-done
    ├── HalfRetired                           a way back that another unit of the DAG does not have any more
    ├── GateClosed                   exit 3   a move whose gates are closed
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
    │   ├── BadWindowList                     a list of windows that cannot be read, or that Airflow contradicts
    │   ├── ScheduleRefused                   a schedule that cannot be read or cannot be mirrored
    │   ├── UnknownPartition                  a partition key that stands for no window of its schedule
    │   ├── TemplateBroken                    a template with a syntax error
    │   ├── BadVariable                       a variable whose value dbt could not be given
    │   ├── TemplateRefused                   a template that needs more than the schedule can tell
    │   ├── TeamFileUnreadable                parity.yaml, the team's own file, is not as it should be
    │   ├── NoSuchUnit                        a unit that nothing mirrors
    │   ├── InventoryMissing                  a comparison with Airflow's inventory, and there is none
    │   ├── EvidenceMissing                   evidence was asked for, and there is no event log at hand
    │   ├── EventLogMissing                   nobody knows who wrote which window without Dagster's event log
    │   ├── WindowMissing                     a comparison without a window
    │   ├── NotRehearsable                    a unit whose command cannot be run again elsewhere
    │   ├── NotRendered                       windows for which the inventory has no rendered command
    │   ├── BadUnit                           a unit's YAML declares something that cannot be
    │   ├── BrokenUnits                       units whose mirrors are broken, where that is to stop the load
    │   ├── MoveImpossible                    a move that does not lead away from the unit's stage
    │   ├── AirflowsWindows                   a backfill in Dagster of windows that Airflow owns
    │   ├── PartOfDag                         units of a DAG that can only be retired together
    │   ├── ReasonMissing                     something that the ledger keeps with its reason, and none was given
    │   ├── DemoFolderTaken                   the demo's folder holds what no demo has put there
    │   ├── PortInUse                         a port that was asked for is taken
    │   ├── BadPlace                          text that names no relation to compare
    │   ├── BadComparisonFile                 a file of comparisons or tolerances that is not one
    │   ├── BadComparison                     one comparison of such a file that cannot be read
    │   ├── TypeOfNoColumn                    a type is declared for a column that no CSV file has
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

from dagster_defs.errors.base import (
    ParityError,
    UsageError,
    WarehouseError,
)
from dagster_defs.errors.comparison import (
    BadComparison,
    BadComparisonFile,
    BadPlace,
    BadTolerance,
    DatabaseLocked,
    DatabaseUnreadable,
    NotComparable,
    RelationUnreadable,
    ReversedWindow,
    StatementFailed,
    ToleranceOnKey,
    ToleranceOnType,
    ToleranceWithoutKey,
    TypeOfNoColumn,
    UnknownColumn,
    UnusableBound,
    WindowWithoutTime,
)
from dagster_defs.errors.moves import (
    AirflowsWindows,
    GateClosed,
    HalfRetired,
    LedgerUnreadable,
    LedgerUnwritable,
    LedgerVersion,
    MoveImpossible,
    MoveInProgress,
    MoveOvertaken,
    PartOfDag,
    ReasonMissing,
    StepFailed,
)
from dagster_defs.errors.project import (
    DbtFailed,
    DbtProjectUnreadable,
    DbtSelectionRefused,
    FunctionMissing,
    InventoryMissing,
    InventoryUnreadable,
    InventoryVersion,
    MarkedAsAWhole,
    MigrationPlanUnreadable,
    MirrorsUnreadable,
    ProxiedStateUnreadable,
    ReportUnwritable,
    TeamFileUnreadable,
    TimedOut,
)
from dagster_defs.errors.servers import (
    AirflowRefuses,
    AirflowUnclear,
    AirflowUnreachable,
    AlreadyRunning,
    DagNotImported,
    DagsterCannot,
    DagsterRefuses,
    DagsterUnclear,
    DagsterUnreachable,
    DemoFolderTaken,
    DemoMissing,
    EnvironmentMissing,
    LaunchRefused,
    PortInUse,
    RunFailed,
    ServerDied,
    ServerFault,
    ServerSilent,
    WritersAmiss,
)
from dagster_defs.errors.units import (
    BadUnit,
    BrokenUnits,
    EventLogMissing,
    EvidenceMissing,
    EvidenceUnreadable,
    LegacyOutOfReach,
    LegacyTaskFailed,
    LegacyTaskRefused,
    NoRehearsal,
    NoSuchUnit,
    NotOwner,
    NotRehearsable,
    NotRendered,
    RunLives,
    TaskStoreUnreadable,
    WindowDiffers,
    WindowMissing,
    WritesToLegacy,
)
from dagster_defs.errors.windows import (
    BadVariable,
    BadWindowList,
    DoesNotAdvance,
    InvalidWindow,
    NotRangeable,
    ScheduleRefused,
    TemplateBroken,
    TemplateFailed,
    TemplateRefused,
    Unaligned,
    UnknownPartition,
)

__all__ = [
    "AirflowRefuses",
    "AirflowUnclear",
    "AirflowUnreachable",
    "AirflowsWindows",
    "AlreadyRunning",
    "BadComparison",
    "BadComparisonFile",
    "BadPlace",
    "BadTolerance",
    "BadUnit",
    "BadVariable",
    "BadWindowList",
    "BrokenUnits",
    "DagNotImported",
    "DagsterCannot",
    "DagsterRefuses",
    "DagsterUnclear",
    "DagsterUnreachable",
    "DatabaseLocked",
    "DatabaseUnreadable",
    "DbtFailed",
    "DbtProjectUnreadable",
    "DbtSelectionRefused",
    "DemoFolderTaken",
    "DemoMissing",
    "DoesNotAdvance",
    "EnvironmentMissing",
    "EventLogMissing",
    "EvidenceMissing",
    "EvidenceUnreadable",
    "FunctionMissing",
    "GateClosed",
    "HalfRetired",
    "InvalidWindow",
    "InventoryMissing",
    "InventoryUnreadable",
    "InventoryVersion",
    "LaunchRefused",
    "LedgerUnreadable",
    "LedgerUnwritable",
    "LedgerVersion",
    "LegacyOutOfReach",
    "LegacyTaskFailed",
    "LegacyTaskRefused",
    "MarkedAsAWhole",
    "MigrationPlanUnreadable",
    "MirrorsUnreadable",
    "MoveImpossible",
    "MoveInProgress",
    "MoveOvertaken",
    "NoRehearsal",
    "NoSuchUnit",
    "NotComparable",
    "NotOwner",
    "NotRangeable",
    "NotRehearsable",
    "NotRendered",
    "ParityError",
    "PartOfDag",
    "PortInUse",
    "ProxiedStateUnreadable",
    "ReasonMissing",
    "RelationUnreadable",
    "ReportUnwritable",
    "ReversedWindow",
    "RunFailed",
    "RunLives",
    "ScheduleRefused",
    "ServerDied",
    "ServerFault",
    "ServerSilent",
    "StatementFailed",
    "StepFailed",
    "TaskStoreUnreadable",
    "TeamFileUnreadable",
    "TemplateBroken",
    "TemplateFailed",
    "TemplateRefused",
    "TimedOut",
    "ToleranceOnKey",
    "ToleranceOnType",
    "ToleranceWithoutKey",
    "TypeOfNoColumn",
    "Unaligned",
    "UnknownColumn",
    "UnknownPartition",
    "UnusableBound",
    "UsageError",
    "WarehouseError",
    "WindowDiffers",
    "WindowMissing",
    "WindowWithoutTime",
    "WritersAmiss",
    "WritesToLegacy",
]
