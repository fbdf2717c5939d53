"""Units that do a task's own work, which may be such that nobody may do it twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import dagster as dg

from dagster_defs.adapters.airflow.task_process import OF_PYTHON
from dagster_defs.adapters.airflow.task_store import WindowStore
from dagster_defs.components.runs.one_writer import moments_to_write
from dagster_defs.components.runs.run_window import moments_of_run
from dagster_defs.components.runs.window_records import OfLegacy
from dagster_defs.components.units.before import Before
from dagster_defs.components.units.outputs import UnitOutput
from dagster_defs.components.units.outputs_unit import Outputs, OutputsUnit, output_key
from dagster_defs.errors import BadUnit, CandidateRefused, ParityError
from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID
from dagster_defs.lifecycle.mirrors import Declared
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.usecases.shadow.legacy_records import LegacyRecords
from dagster_defs.usecases.shadow.standing import EventLog
from dagster_defs.windows import Moment, Occasion, PartitionVars


@dataclass
class TaskUnit(OutputsUnit):
    """Base class of mirrors that run one window at a time; not a component type itself."""

    outputs: Outputs = field(default_factory=list)
    deps: Before = field(default_factory=list, kw_only=True)
    shadow: Annotated[
        Literal["never"] | None,
        dg.Resolver.default(
            description="`never`: no candidate may run, because the task's work must not be done twice."
        ),
    ] = field(default=None, kw_only=True)
    because: Annotated[
        str, dg.Resolver.default(description="Why not; the cutover gate shows and accepts this.")
    ] = field(default="", kw_only=True)

    @property
    def not_said(self) -> str:
        """Why no candidate may run as long as the YAML does not say more; empty if one may."""
        return ""

    @property
    def never_compared(self) -> str:
        """Why no candidate runs; empty if one may."""
        if self.shadow == "never":
            return self.because.strip()
        return super().never_compared or self.not_said

    @property
    def takes_ranges(self) -> bool:
        """False: Airflow's run has one data interval."""
        return False

    must_compare = True  # whether a candidate that leaves nothing to compare is a fault

    def refuse_faults(self, *, resolved: bool) -> None:
        super().refuse_faults(resolved=resolved)
        if self.shadow == "never" and not self.because.strip():
            raise BadUnit(self.unit, "`shadow: never` has no `because`", "Say why it must not be done twice")
        if self.because.strip() and self.shadow != "never":
            raise BadUnit(self.unit, "`because` is given without `shadow: never`", "Give both, or neither")
        if self.must_compare and not self.never_compared and not self.compared_keys():
            reason = "a candidate may run, but no output has a `file`, `folder` or `table` to compare"
            raise BadUnit(self.unit, reason, "Declare one of an output, or `shadow: never` and `because`")

    def deps_of(self, output: UnitOutput) -> Sequence[str]:
        return list(dict.fromkeys((*self.deps, *output.deps)))

    def refused(self, reason: str, remedy: str) -> ParityError:
        """The error for a run that is not started."""
        return CandidateRefused(self.unit, reason, remedy)

    def window_of_side(self, context: dg.AssetExecutionContext, side: Side) -> Moment:
        """The one window of the run, once it is certain that this side may run it."""
        if side is Side.CANDIDATE and (why := self.never_compared):
            raise self.refused(f"it may not run as a candidate: {why}", self.how_a_candidate_may)
        windows = self.windows_of_side(context, side)
        if len(windows) > 1:
            reason = f"Airflow's run has one window, but this one has {len(windows)}"
            raise self.refused(reason, "Run one partition at a time")
        return windows[0]

    def windows_of_side(self, context: dg.AssetExecutionContext, side: Side) -> Sequence[Moment]:
        """The windows of the run, once it is certain that this side may write them."""
        if side is Side.LEGACY:
            return moments_to_write(context, self.legacy_unit, self.times, Settings.from_process(self.root))
        windows = moments_of_run(context, self.times)
        self.refuse_legacy_places(windows)
        return windows

    def window_store(self, side: Side, window: Moment) -> WindowStore:
        """What the tasks of the window left behind on that side."""
        settings = Settings.from_process(self.root)
        return WindowStore.of(settings.task_store, side, self.legacy_unit.dag_id, window)

    def records_of_legacy(
        self, context: dg.AssetExecutionContext, side: Side, window: Moment
    ) -> OfLegacy | None:
        """For a candidate: what legacy's tasks of the window left behind."""
        if side is Side.LEGACY:
            return None
        log = EventLog(context.instance, Settings.from_process(self.root))
        key = output_key(self.written[0].key)
        event = (
            log.last_write_in(key, window.run_id)
            if isinstance(window, Occasion)
            else log.last_write(key, self.partitions.key_of(window))
        )
        return LegacyRecords(log, self.legacy_unit, window, event, context.log.warning).read

    how_a_candidate_may = "Declare its outputs in its YAML, and drop `shadow: never`"


@dataclass
class TemplateUnit(TaskUnit):
    """Base class of mirrors that have an operator's text in their YAML; not a component type itself."""

    params: Annotated[
        Mapping[str, Any], dg.Resolver.passthrough(description="The operator's params, for its templates.")
    ] = field(default_factory=dict, kw_only=True)
    template_searchpath: Annotated[
        Sequence[str],
        dg.Resolver.default(
            description="Folders of template files, relative to the project, looked through before `python_path`."
        ),
    ] = field(default_factory=list, kw_only=True)

    @property
    def variables(self) -> PartitionVars:
        """The operator's templated fields by name, first the one that says what runs."""
        raise NotImplementedError

    def refuse_faults(self, *, resolved: bool) -> None:
        super().refuse_faults(resolved=resolved)
        _ = self.variables

    def declared(self) -> Declared:
        return replace(super().declared(), fields=self.variables.names)

    def template_text(self, field_name: str, written: str, endings: Sequence[str]) -> str:
        """As Airflow, which takes a text that ends so for the name of a template file."""
        if not written.endswith(tuple(endings)):
            return written
        folders = [*(self.root / path for path in self.template_searchpath), self.python_folder]
        file = next((path for folder in folders if (path := folder / written).is_file()), None)
        if file is None:
            looked = ", ".join(map(str, folders))
            reason = f"`{field_name}` names {written}, and there is no such file in {looked}"
            raise BadUnit(self.unit, reason, f"Fix `{field_name}` or `template_searchpath` in its YAML")
        return file.read_text(encoding="utf-8")


def _texts(context: dg.ResolutionContext, variables: Mapping[str, str]) -> Mapping[str, str]:
    """Each value as text: Dagster would make a boolean of `False`, and a number of `5`."""
    # No text that begins like this is a Python literal, for which Jinja looks in what it has rendered.
    return {name: str(context.resolve_value(f"={text}"))[1:] for name, text in variables.items()}


Texts = Annotated[Mapping[str, str], dg.Resolver(_texts, model_field_type=Mapping[str, str])]


@dataclass
class SideVariables(dg.Resolvable):
    """Environment variables of the task's process on each side, in addition to the Dagster run's."""

    legacy: Texts = field(default_factory=dict)
    candidate: Texts = field(default_factory=dict)

    def of(self, side: Side) -> Mapping[str, str]:
        return self.legacy if side is Side.LEGACY else self.candidate


@dataclass
class ProcessUnit(TaskUnit):
    """Base class of mirrors whose work is a process of its own; not a component type itself.

    A candidate runs only if `env.candidate` says what it writes to instead of legacy's places.
    """

    env: SideVariables = field(default_factory=SideVariables, kw_only=True)

    how_a_candidate_may = "Declare in its YAML what a candidate connects to instead (env: {candidate: …})"

    @property
    def not_said(self) -> str:
        return "" if self.env.candidate else NOBODY_HAS_SAID

    def refuse_faults(self, *, resolved: bool) -> None:
        super().refuse_faults(resolved=resolved)
        if self.env.candidate and self.shadow == "never":
            reason = "`env.candidate` has no effect with `shadow: never`"
            raise BadUnit(self.unit, reason, "Remove one of them")
        if self.env.candidate and dict(self.env.candidate) == dict(self.env.legacy):
            raise BadUnit(self.unit, "`env` is the same on both sides", "Give the candidate its own places")

    def refuse_same_variables(self, legacy: Mapping[str, str]) -> None:
        """`legacy`: every variable of the process on the legacy side.

        Raises the error of `refused` if the candidate's process would have the same values.
        """
        own = self.env.candidate
        if all(name in OF_PYTHON or legacy.get(name) == value for name, value in own.items()):
            reason = f"a candidate would write where legacy does: {', '.join(sorted(own))} is the same on both sides"
            raise self.refused(reason, "Give the candidate its own values in its YAML (env.candidate)")
