"""The asset check `parity` on every compared shadow: a verdict for each window that a candidate run is about."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster_shared.utils.warnings import PreviewWarning

from dagster_defs.adapters.comparison import compare_output
from dagster_defs.adapters.evidence import PARITY, SHADOW, evidence_metadata
from dagster_defs.adapters.standing import EventLog, LegacyRun, Since, standing, started_since
from dagster_defs.components.run_window import windows_of_run
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle.fairness import judged
from dagster_defs.lifecycle.mirrors import Mirror, Output
from dagster_defs.lifecycle.verdicts import WindowCheck, with_tests
from dagster_defs.parity import Check, Verdict
from dagster_defs.windows import Window

if TYPE_CHECKING:
    from dagster_defs.components.unit import UnitComponent

SECONDS_FOR_LOCKS = (
    60.0  # that a comparison waits for a DuckDB file: as long as a dbt run of Airflow's may hold it
)
SEVERITY = {Verdict.MISMATCH: dg.AssetCheckSeverity.ERROR, Verdict.INCONCLUSIVE: dg.AssetCheckSeverity.WARN}
NOT_KNOWN = "not known: Airflow ran legacy's"


@dataclass(frozen=True)
class Compared:
    """What a unit's candidate run compares: (legacy key, shadow key) by the name of the output."""

    unit: "UnitComponent"
    keys: Mapping[str, tuple[dg.AssetKey, dg.AssetKey]]

    @property
    def specs(self) -> list[dg.AssetCheckSpec]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PreviewWarning)  # partitioned checks are new, and used on purpose
            return [
                dg.AssetCheckSpec(
                    PARITY,
                    asset=shadow,
                    description=f"The same rows as {legacy.to_user_string()}, window by window.",
                    partitions_def=self.unit.partitions.partitions_def,
                    metadata={"parity/unit": self.unit.unit, "parity/output": name},
                )
                for name, (legacy, shadow) in self.keys.items()
            ]

    @property
    def check_keys(self) -> list[dg.AssetCheckKey]:
        return [spec.key for spec in self.specs]

    def after(self, context: dg.AssetExecutionContext, build: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        """Build, if anything but `parity` is selected, then compare what is selected of it.

        A build that failed is compared too, so that its window has a verdict; its error is raised afterwards.
        """
        failure: Exception | None = None
        built = bool(context.selected_asset_keys)
        if built or context.selected_asset_check_keys - set(self.check_keys):
            try:
                yield from build()
            except dg.RetryRequested:
                raise
            except Exception as error:
                failure = error
        wanted = [
            name for name, (_, shadow) in self.keys.items()
            if dg.AssetCheckKey(shadow, PARITY) in context.selected_asset_check_keys
        ]  # fmt: skip
        if wanted:
            yield from _Comparison(self, context, wanted, built, failure).events()
        if failure is not None:
            raise failure


@dataclass
class _Comparison:
    """The comparisons of one run. `built`: it has built, or tried to, and failed with `failure`."""

    compared: Compared
    context: dg.AssetExecutionContext
    wanted: Sequence[str]
    built: bool
    failure: Exception | None

    @cached_property
    def log(self) -> EventLog:
        return EventLog(self.context.instance)

    @cached_property
    def mirror(self) -> Mirror:
        return cast("Mirror", self.compared.unit)  # the base has no outputs_of; every mirror has

    def events(self) -> Iterator[Any]:
        windows = windows_of_run(self.context, self.mirror.partitions)
        airflow_answers = True
        for window in windows:
            outputs = [output for output in self.mirror.outputs_of(window) if output.name in self.wanted]
            checks = [(output, self._compare(output, window, windows[-1])) for output in outputs]
            # Asked when all are compared, so that what started meanwhile is known too.
            moment = self._moment(window, outputs, airflow_answers)
            airflow_answers = moment.since.of_any is not None
            for output, check in checks:
                yield self._evaluation(output, check, moment)
        for name in self.wanted:
            check_key = dg.AssetCheckKey(self.compared.keys[name][1], PARITY)
            yield dg.Output(None, _output_name(self.context, check_key))

    def _compare(self, output: Output, window: Window, last: Window) -> Check:
        if output.as_a_whole and window != last:
            reason = f"compared as a whole, with the last window of this run ({last})"
            return Check(output.name, Verdict.INCONCLUSIVE, reason)
        try:
            return compare_output(output, wait_s=SECONDS_FOR_LOCKS)
        except ParityError as error:
            return Check(output.name, Verdict.INCONCLUSIVE, str(error))

    def _moment(self, window: Window, outputs: Sequence[Output], airflow_answers: bool) -> "_Moment":
        unit, partition = self.mirror.legacy_unit, self.mirror.partitions.key_of(window)
        keys = [self.compared.keys[output.name][0] for output in outputs]
        runs = [run for key in keys if (run := self.log.legacy_run(unit, key, partition))]
        legacy = max(runs, key=lambda run: run.write.position, default=None)
        since = (
            started_since(self.log, unit, legacy, partition, window) if airflow_answers else Since(None, None)
        )
        return _Moment(window, partition, legacy, since)

    def _evaluation(self, output: Output, check: Check, moment: "_Moment") -> dg.AssetCheckEvaluation:
        keys = legacy_key, shadow = self.compared.keys[output.name]
        partition = moment.partition
        now = standing(
            self.log,
            keys,
            partition,
            as_a_whole=output.as_a_whole,
            started_since=moment.since.of_any if output.as_a_whole else moment.since.of_window,
            not_built=self._not_built(shadow, partition),
        )
        built = self.log.last_write(shadow, partition)
        tests, differing = self._tests(moment.legacy, legacy_key, shadow, built.run_id if built else "")
        checked = WindowCheck(
            self.mirror.legacy_unit,
            None if output.as_a_whole else partition,
            with_tests(judged(check, now), differing),
        )
        self.context.log.info(f"{output.name} of {partition}: {checked.verdict}, {checked.check.reason}")
        target = built and AssetCheckEvaluationTargetMaterializationData(
            storage_id=built.storage_id, run_id=built.run_id, timestamp=built.timestamp
        )
        return dg.AssetCheckEvaluation(
            asset_key=shadow,
            check_name=PARITY,
            passed=checked.verdict is Verdict.MATCH,
            severity=SEVERITY.get(checked.verdict, dg.AssetCheckSeverity.ERROR),
            description=checked.check.reason,
            metadata=evidence_metadata(
                checked,
                moment.window,
                airflow_run=moment.legacy.address if moment.legacy else "",
                dbt_tests=tests,
            ),
            partition=partition,
            target_materialization_data=target,
        )

    def _not_built(self, shadow: dg.AssetKey, partition: str) -> str:
        """Why there is no candidate to compare although this run should have made it."""
        if not self.built or shadow not in self.context.selected_asset_keys:
            return ""
        record = self.log.last_write(shadow, partition)
        if record is not None and record.run_id == self.context.run.run_id:
            return ""
        said = str(self.failure).splitlines()[0] if self.failure else "dbt has skipped it"
        return f"the candidate run has not built it: {said}"

    def _tests(
        self, legacy: LegacyRun | None, legacy_key: dg.AssetKey, shadow: dg.AssetKey, candidate_run: str
    ) -> tuple[str, list[str]]:
        """What is said of the dbt tests of both sides, and the names of those that differ."""
        if legacy is None or not legacy.dagster_run or not candidate_run:
            return NOT_KNOWN, []
        theirs, ours = self.log.tests(legacy.dagster_run), self.log.tests(candidate_run)
        compared = {key for key, _ in self.compared.keys.values()}
        # A test on something that is not compared speaks for every output of the unit.
        both = {
            check.name: (passed, ours[twin])
            for check, passed in theirs.items()
            if check.asset_key == legacy_key or check.asset_key not in compared
            for twin in [dg.AssetCheckKey(shadow_key(check.asset_key), check.name)]
            if twin in ours
        }
        differing = sorted(name for name, (one, other) in both.items() if one != other)
        return f"{len(both)} on both sides, {len(differing)} differ", differing


@dataclass(frozen=True)
class _Moment:
    """A window right after its outputs were compared."""

    window: Window
    partition: str
    legacy: LegacyRun | None
    since: Since


def shadow_key(key: dg.AssetKey) -> dg.AssetKey:
    """The key of the same thing on the candidate side."""
    return key.with_prefix(SHADOW)


def _output_name(context: dg.AssetExecutionContext, key: dg.AssetCheckKey) -> str:
    specs: Mapping[str, dg.AssetCheckSpec] = context.assets_def.check_specs_by_output_name
    return next(name for name, spec in specs.items() if spec.key == key)
