"""Every error that this project raises on purpose.

    ParityError                      exit 1   something went wrong; the message says what, why and what to do
    ├── DbtManifestRefused                    what dbt keeps beside a manifest that was made elsewhere is not there
    ├── DbtProjectUnreadable                  dbt cannot parse the project
    ├── DbtUnusable                           a dbt that is too old, not there, or none at all
    ├── DbtSelectionRefused                   a selection that dbt cannot read
    ├── DbtFailed                             a dbt command ran and did not succeed
    ├── TimedOut                              a try took longer than the unit's time-out
    ├── DagsterUnsupported                    Dagster lacks an internal name that units are built with
    ├── TwoVersions                           another copy of this package is on the path too
    ├── MirrorsUnreadable                     the YAML below defs/ cannot be loaded
    ├── ProxiedStateUnreadable                a file of proxied_state/ is not in Airlift's format
    ├── MarkedAsAWhole                        one unit cannot be marked: its file marks the whole DAG
    ├── MigrationPlanUnreadable               migration_plan.md is missing, or its status block has lost its markers
    ├── ReportUnwritable                      the report page cannot be written
    ├── InventoryUnreadable                   an inventory file that is missing, truncated or something else entirely
    ├── DbtRepositoryRefused                  the git repository of a dbt project, which cannot be cloned as asked
    ├── InventoryVersion                      an inventory written by another version of the exporter
    ├── NotComparable                         a warehouse that this command cannot read both sides of
    ├── ServerFault                           a server does not do what it is asked to do
    │   ├── AirflowFault                      what the Airflow REST API gave instead of an answer
    │   │   ├── AirflowWithoutAddress         one of several, and no variable has its address
    │   │   ├── AirflowUnreachable            transport: it does not answer
    │   │   ├── AirflowRefuses                status: it answers with an error status
    │   │   ├── AirflowUnclear                meaning: it answers with something unexpected
    │   │   ├── AirflowUpgraded               version: the question was in the words of another one's API
    │   │   └── AirflowBehind                 meaning: it names a window as the next one that it has run
    │   └── DagsterFault                      what Dagster's GraphQL API gave instead of an answer
    │       ├── DagsterUnreachable            transport: it does not answer
    │       ├── DagsterRefuses                status: it answers with an error status
    │       ├── DagsterUnclear                meaning: it answers with something unexpected
    │       └── DagsterCannot                 meaning: it answers that it could not do what was requested
    ├── ServerDied                            a server started by this project has exited
    ├── ServerSilent                          a server started by this project does not become ready
    ├── AlreadyRunning                        another demo is using the folder
    ├── DemoMissing                           the demo package is not installed
    ├── EnvironmentMissing                    `make setup` has not created the Airflow environment
    ├── NotDelivered                          a receiver did not take an alert
    ├── EvidenceUnreadable                    Dagster's event log cannot be read
    ├── WritesToLegacy                        a candidate run would write to what legacy writes
    ├── CandidateRefused                      a candidate run that its unit does not allow
    ├── CommandFailed                         a task's command ended with an error
    ├── ContainerFailed                       a task's container was not run
    ├── NotProvedSafe                         SQL that may write to legacy if a candidate ran it
    ├── LegacyTaskRefused                     an operator could not be run in Airflow's environment
    ├── LegacyTaskFailed                      an operator ran in Airflow's environment and did not succeed
    ├── XComRefused                           a function's XCom cannot be had, or left, outside of Airflow
    ├── TaskStoreUnreadable                   what an operator stored for later tasks cannot be read
    ├── LegacyOutOfReach                      a candidate run cannot get what it needs from legacy
    ├── WindowDiffers                         Airflow asked for a window other than that of the partition
    ├── RunLives                              another run of the same windows has not finished
    ├── NotOwner                              a run that may not write to the production target
    ├── RunFailed                             a Dagster or Airflow run did not succeed
    ├── LaunchRefused                         Dagster does not start a run
    ├── FunctionMissing                       a function that Airflow calls does not exist
    ├── DagNotImported                        Airflow cannot import a DAG file
    ├── WritersAmiss                          windows with no writer, or with more than one
    ├── NoRehearsal                           a rehearsal would overwrite something, or has nothing to read
    ├── LedgerUnreadable                      a ledger line that no version of this command has written
    ├── LedgerVersion                         a ledger line written by another version
    ├── LedgerUnwritable                      the ledger or a mark cannot be written; nothing has changed
    ├── StoreMissing                          no store of the record is where PARITY_STORE says
    ├── StoreUnreachable                      the store's server does not answer
    ├── StoreRefused                          a store that may not be used, or whose locks or copy cannot be trusted
    ├── StoreVersion                          a store made by another version
    ├── ImportDiffers                         an imported record is not what the files hold
    ├── LeaseLost                             another command has taken over the move
    ├── MoveInProgress                        a move of the unit has begun and is not finished
    ├── MoveOvertaken                         somebody else has moved the unit in the meantime
    ├── StepFailed                            a move stopped half-done at one of its steps
    ├── HalfRetired                           no way back: another unit of the DAG is retired already
    ├── SourceLeftBehind                      no way back without a mapped task whose XComs the unit reads
    ├── EchoOutstanding                       Airflow cannot be told yet what Dagster has run
    │   └── EchoCutShort                      a tick has told as much of a run as it had time for
    ├── EchoUntested                          an echo that was tried and does not do what it should
    ├── NothingListens                        nothing in Airflow listens to the DAG
    ├── GateClosed                   exit 3   a move whose gates are closed
    ├── InvalidWindow                         a window that does not end after it starts
    ├── DoesNotAdvance                        Airflow's own timetable never gets past an instant
    ├── Unaligned                             an interval that is not the window of any partition
    ├── BadOccasion                           what is known about a run without a window cannot be used
    ├── NotRangeable                          variables that cannot span several windows in one run
    ├── TemplateFailed                        a template compiled but fails to render for one window
    ├── WarehouseError                        the data cannot be read: a comparison becomes inconclusive
    │   ├── RelationUnreadable                a table, view or file that cannot be read
    │   ├── StatementFailed                   the warehouse rejected a statement or the connection was lost
    │   ├── DatabaseLocked                    another process holds the DuckDB file
    │   └── DatabaseUnreadable                the file is not a DuckDB database, or may not be read
    ├── UsageError                   exit 2   the request cannot be carried out as given
    │   ├── DriverMissing                     the warehouse's packages are not installed: an extra brings them
    │   ├── BadWindowList                     a list of windows that cannot be read, or that Airflow contradicts
    │   ├── ScheduleRefused                   a schedule that cannot be read or cannot be mirrored
    │   ├── HasNoWindows                      a window of a unit whose DAG has no clock
    │   ├── UnknownPartition                  a partition key that does not belong to the schedule
    │   ├── TemplateBroken                    a template with a syntax error
    │   ├── BadVariable                       a variable whose value cannot be passed to dbt
    │   ├── TemplateRefused                   a template that needs more than the schedule determines
    │   ├── TeamFileUnreadable                parity.yaml, the team's own file, is invalid
    │   ├── AirflowUnknown                    a DAG that none of several Airflows is named for
    │   ├── DagInTwoAirflows                  a DAG id in two Airflows, whose runs could not be told apart
    │   ├── BadAirflows                       Airflows of one project that cannot be told apart
    │   ├── NoProject                         no Dagster project in the folder or above it
    │   ├── NotAProject                       `parity init` in a folder with other files
    │   ├── NoSuchUnit                        no mirror has this unit's name
    │   ├── InventoryMissing                  a comparison needs Airflow's inventory, and there is none
    │   ├── EvidenceMissing                   evidence was requested, and no event log is configured
    │   ├── EventLogMissing                   who wrote which window is known only from Dagster's event log
    │   ├── WindowMissing                     a comparison without a window
    │   ├── NotRehearsable                    a unit whose command cannot be repeated elsewhere
    │   ├── NotRendered                       windows for which the inventory has no rendered command
    │   ├── BadAlerts                         the YAML about alerts declares something impossible
    │   ├── NoAlerts                          nobody would be told of anything
    │   ├── BadUnit                           a unit's YAML declares something impossible
    │   ├── BrokenUnits                       some mirrors are broken, and PARITY_STRICT stops the load
    │   ├── BadStore                          a PARITY_STORE that cannot be understood
    │   ├── BadChannel                        a PARITY_CHANNEL that cannot be understood
    │   ├── BadLogin                          a way to log in to a server that cannot be understood, or that fails
    │   ├── StoreNotEmpty                     an import into a store that holds another record
    │   ├── ImportRefused                     a record that cannot be imported as it is
    │   ├── NoMarksFolder                     a record in a database, and no folder where Airflow reads its marks
    │   ├── MoveImpossible                    a move that the unit's stage does not allow
    │   ├── NotDagsterOwned                   a backfill in Dagster of windows that Airflow owns
    │   ├── PartOfDag                         units of a DAG that can only be retired together
    │   ├── ReasonMissing                     the ledger requires a reason, and none was given
    │   ├── DemoFolderTaken                   the demo's folder holds files that no demo created
    │   ├── PortInUse                         a requested port is taken
    │   ├── BadPlace                          text that does not name a relation to compare
    │   ├── BadComparisonFile                 a file of comparisons or tolerances that cannot be read
    │   ├── BadComparison                     one comparison of such a file is invalid
    │   ├── TypeOfNoColumn                    a type is declared for a column that is in no CSV file
    │   ├── UnknownColumn                     a comparison names a column that a table does not have
    │   ├── ReversedWindow                    a comparison's window ends before it starts
    │   ├── WindowWithoutTime                 a comparison has bounds but no time column
    │   ├── UnusableBound                     a bound that cannot be compared with the time column
    │   ├── BadTolerance                      a tolerance with a meaningless value, or a column's second one
    │   ├── ToleranceOnKey                    a tolerance on a key column, which pairs the rows
    │   ├── ToleranceWithoutKey               a numeric tolerance without a key to pair the rows by
    │   └── ToleranceOnType                   a tolerance on a column whose type has no such differences

One fact for each class, kept in typed fields; the message is made from them and ends with the remedy.
"""

from dagster_defs.errors.alerts import BadAlerts, NoAlerts, NotDelivered
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
    DriverMissing,
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
from dagster_defs.errors.echoes import EchoCutShort, EchoOutstanding, EchoUntested, NothingListens
from dagster_defs.errors.moves import (
    GateClosed,
    HalfRetired,
    LedgerUnreadable,
    LedgerUnwritable,
    LedgerVersion,
    MoveImpossible,
    MoveInProgress,
    MoveOvertaken,
    NotDagsterOwned,
    PartOfDag,
    ReasonMissing,
    SourceLeftBehind,
    StepFailed,
)
from dagster_defs.errors.project import (
    AirflowUnknown,
    BadAirflows,
    DagInTwoAirflows,
    DagsterUnsupported,
    DbtFailed,
    DbtManifestRefused,
    DbtProjectUnreadable,
    DbtRepositoryRefused,
    DbtSelectionRefused,
    DbtUnusable,
    FunctionMissing,
    InventoryMissing,
    InventoryUnreadable,
    InventoryVersion,
    MarkedAsAWhole,
    MigrationPlanUnreadable,
    MirrorsUnreadable,
    NoProject,
    NotAProject,
    ProxiedStateUnreadable,
    ReportUnwritable,
    TeamFileUnreadable,
    TimedOut,
    TwoVersions,
)
from dagster_defs.errors.servers import (
    AirflowBehind,
    AirflowFault,
    AirflowRefuses,
    AirflowUnclear,
    AirflowUnreachable,
    AirflowUpgraded,
    AirflowWithoutAddress,
    AlreadyRunning,
    BadLogin,
    DagNotImported,
    DagsterCannot,
    DagsterFault,
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
from dagster_defs.errors.stores import (
    BadChannel,
    BadStore,
    ImportDiffers,
    ImportRefused,
    LeaseLost,
    NoMarksFolder,
    StoreMissing,
    StoreNotEmpty,
    StoreRefused,
    StoreUnreachable,
    StoreVersion,
)
from dagster_defs.errors.units import (
    BadUnit,
    BrokenUnits,
    CandidateRefused,
    CommandFailed,
    ContainerFailed,
    EventLogMissing,
    EvidenceMissing,
    EvidenceUnreadable,
    LegacyOutOfReach,
    LegacyTaskFailed,
    LegacyTaskRefused,
    NoRehearsal,
    NoSuchUnit,
    NotOwner,
    NotProvedSafe,
    NotRehearsable,
    NotRendered,
    RunLives,
    TaskStoreUnreadable,
    WindowDiffers,
    WindowMissing,
    WritesToLegacy,
    XComRefused,
)
from dagster_defs.errors.windows import (
    BadOccasion,
    BadVariable,
    BadWindowList,
    DoesNotAdvance,
    HasNoWindows,
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
    "AirflowBehind",
    "AirflowFault",
    "AirflowRefuses",
    "AirflowUnclear",
    "AirflowUnknown",
    "AirflowUnreachable",
    "AirflowUpgraded",
    "AirflowWithoutAddress",
    "AlreadyRunning",
    "BadAirflows",
    "BadAlerts",
    "BadChannel",
    "BadComparison",
    "BadComparisonFile",
    "BadLogin",
    "BadOccasion",
    "BadPlace",
    "BadStore",
    "BadTolerance",
    "BadUnit",
    "BadVariable",
    "BadWindowList",
    "BrokenUnits",
    "CandidateRefused",
    "CommandFailed",
    "ContainerFailed",
    "DagInTwoAirflows",
    "DagNotImported",
    "DagsterCannot",
    "DagsterFault",
    "DagsterRefuses",
    "DagsterUnclear",
    "DagsterUnreachable",
    "DagsterUnsupported",
    "DatabaseLocked",
    "DatabaseUnreadable",
    "DbtFailed",
    "DbtManifestRefused",
    "DbtProjectUnreadable",
    "DbtRepositoryRefused",
    "DbtSelectionRefused",
    "DbtUnusable",
    "DemoFolderTaken",
    "DemoMissing",
    "DoesNotAdvance",
    "DriverMissing",
    "EchoCutShort",
    "EchoOutstanding",
    "EchoUntested",
    "EnvironmentMissing",
    "EventLogMissing",
    "EvidenceMissing",
    "EvidenceUnreadable",
    "FunctionMissing",
    "GateClosed",
    "HalfRetired",
    "HasNoWindows",
    "ImportDiffers",
    "ImportRefused",
    "InvalidWindow",
    "InventoryMissing",
    "InventoryUnreadable",
    "InventoryVersion",
    "LaunchRefused",
    "LeaseLost",
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
    "NoAlerts",
    "NoMarksFolder",
    "NoProject",
    "NoRehearsal",
    "NoSuchUnit",
    "NotAProject",
    "NotComparable",
    "NotDagsterOwned",
    "NotDelivered",
    "NotOwner",
    "NotProvedSafe",
    "NotRangeable",
    "NotRehearsable",
    "NotRendered",
    "NothingListens",
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
    "SourceLeftBehind",
    "StatementFailed",
    "StepFailed",
    "StoreMissing",
    "StoreNotEmpty",
    "StoreRefused",
    "StoreUnreachable",
    "StoreVersion",
    "TaskStoreUnreadable",
    "TeamFileUnreadable",
    "TemplateBroken",
    "TemplateFailed",
    "TemplateRefused",
    "TimedOut",
    "ToleranceOnKey",
    "ToleranceOnType",
    "ToleranceWithoutKey",
    "TwoVersions",
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
    "XComRefused",
]
