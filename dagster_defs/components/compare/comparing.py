"""The comparisons of one candidate run: its own windows, and adjacent ones that it may have spoiled."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from dagster_defs.adapters.dagster.event_log import WindowEvent
from dagster_defs.adapters.dagster.evidence import PARITY, evidence_metadata
from dagster_defs.components.compare.evidence import Compared
from dagster_defs.components.runs.run_window import moments_of_run, stands_for_a_run
from dagster_defs.components.units.dbt_tests import LegacyVerdicts, Verdicts
from dagster_defs.components.units.shadows import is_shadow, legacy_key
from dagster_defs.errors import ParityError
from dagster_defs.escape import markdown
from dagster_defs.lifecycle.fairness import Standing, judged, read_as_of, unfair_reason, unfair_tests_reason
from dagster_defs.lifecycle.mirrors import Mirror, Output
from dagster_defs.lifecycle.rendered import RenderedValues, differing_values, outputs_of
from dagster_defs.lifecycle.verdicts import WindowCheck, with_tests
from dagster_defs.parity import Check, Verdict
from dagster_defs.settings import Settings
from dagster_defs.usecases.shadow.standing import EventLog, LegacyRun, Records, Since, standing, started_since
from dagster_defs.usecases.shadow.upstream_writes import written_between
from dagster_defs.windows import Moment, Occasion, Scheduled, name_of

SECONDS_FOR_LOCKS = (
    60.0  # how long a comparison waits for a DuckDB file, which a dbt run of Airflow's may hold
)
SEVERITY = {Verdict.MISMATCH: dg.AssetCheckSeverity.ERROR, Verdict.INCONCLUSIVE: dg.AssetCheckSeverity.WARN}


def build_and_compare(
    compared: Compared, context: dg.AssetExecutionContext, build: Callable[[], Iterator[Any]]
) -> Iterator[Any]:
    """Build if anything other than `parity` is selected, then run the selected comparisons.

    A failed build is compared too, so that its window gets a verdict; its error is raised afterwards.
    """
    failure: Exception | None = None
    built = bool(context.selected_asset_keys)
    if built or context.selected_asset_check_keys - set(compared.check_keys):
        try:
            yield from build()
        except dg.RetryRequested:
            raise
        except Exception as error:
            failure = error
    wanted = [
        name for name, (_, shadow) in compared.keys.items()
        if dg.AssetCheckKey(shadow, PARITY) in context.selected_asset_check_keys
    ]  # fmt: skip
    if wanted:
        yield from RunComparison(compared, context, wanted, built, failure).events()
    if failure is not None:
        raise failure


@dataclass
class RunComparison:
    """The comparisons of one run. `built`: whether it has built, or tried to and failed with `failure`."""

    compared: Compared
    context: dg.AssetExecutionContext
    wanted: Sequence[str]
    built: bool
    failure: Exception | None

    @cached_property
    def settings(self) -> Settings:
        return Settings.from_process(self.compared.unit.root)

    @cached_property
    def log(self) -> EventLog:
        return EventLog(self.context.instance, self.settings)

    @cached_property
    def mirror(self) -> Mirror:
        return self.compared.unit

    def events(self) -> Iterator[Any]:
        airflow_answers = True
        for window in self.windows if self._has_a_twin else ():
            outputs = self._outputs(window)
            checks = [(output, self._compare(output, window)) for output in outputs]
            conclusive = any(check.verdict is not Verdict.INCONCLUSIVE for _, check in checks)
            evaluated = self._evaluate_tests(outputs, window) if conclusive else None
            # Queried after all comparisons, so that runs that started meanwhile are known too.
            moment = self._moment(window, outputs, airflow_answers, evaluated)
            airflow_answers = moment.since.of_any is not None
            for output, check in checks:
                yield self._evaluation(output, *self._judged(output, check, moment), moment)
        yield from self._overwritten()
        if not self._has_a_twin:
            self.context.log.warning(
                "not compared: a person has started this run, so it stands for no run of legacy's. The shadow sensor "
                "compares each run of legacy's"
            )
        for name in self.wanted:
            check_key = dg.AssetCheckKey(self.compared.keys[name][1], PARITY)
            yield dg.Output(None, _output_name(self.context, check_key))

    @cached_property
    def windows(self) -> Sequence[Moment]:
        """What the run is about; for a run without a window that only compares again, what the last one was about."""
        if self.mirror.event is None or stands_for_a_run(self.context) or self.built:
            return moments_of_run(self.context, self.mirror.times)
        shadows = [self.compared.keys[name][1] for name in self.wanted]
        last = next(
            (event for key in shadows if (event := self.log.last_write(key)) and event.occasion), None
        )
        return [last.occasion] if last and last.occasion else moments_of_run(self.context, self.mirror.times)

    @property
    def _has_a_twin(self) -> bool:
        """False for a run of a unit without a clock that a person has started: no run of legacy's is like it."""
        return self.mirror.event is None or stands_for_a_run(self.context) or not self.built

    def _name(self, moment: Moment) -> str:
        return name_of(self.mirror.times, moment)

    def _records(self, output: Output, moment: Moment) -> Records:
        keys, name = self.compared.keys[output.name], self._name(moment)
        return (
            self.log.records_in(keys, name) if isinstance(moment, Occasion) else self.log.records(keys, name)
        )

    def _is_of_all(self, output: Output, moment: Moment) -> bool:
        """Whether every run writes the same place, not only the run of this moment."""
        if self.mirror.event is None or not isinstance(moment, Occasion):
            return output.as_a_whole
        try:
            others = {each.name: each for each in self.mirror.outputs_of(self.mirror.event.example())}
        except ParityError:  # it is named after something that only a run has
            return output.as_a_whole
        return others.get(output.name) == output

    def _outputs(self, window: Moment) -> list[Output]:
        """The outputs within the bounds of Airflow's rendered command: the mirror's own variables may be wrong."""
        outputs = outputs_of(self.mirror, window, self._rendered(window))
        return [output for output in outputs if output.name in self.wanted]

    def _rendered(self, window: Moment) -> list[RenderedValues]:
        from dagster_defs.usecases.airflow_values import values_of_run

        if window not in self._asked:
            self._asked[window] = values_of_run(
                self.settings, self.mirror.legacy_unit, window, self._airflow_run(window)
            )
        return self._asked[window]

    @cached_property
    def _asked(self) -> dict[Moment, list[RenderedValues]]:
        return {}

    def _airflow_run(self, window: Moment) -> str:
        """Airflow's run, if Airflow itself ran the window: for a proxy, it has not rendered the unit's command."""
        name = self._name(window)
        for legacy, _ in self.compared.keys.values():
            record = (
                self.log.last_write_in(legacy, name)
                if isinstance(window, Occasion)
                else self.log.last_write(legacy, name)
            )
            run = self.log.legacy_run(self.mirror.legacy_unit, record) if record else None
            if run and run.airflow_run and not run.dagster_run:
                return run.airflow_run
        return ""

    def _overwritten(self) -> Iterator[dg.AssetCheckEvaluation]:
        """New verdicts on windows adjacent to this run's, if they no longer match.

        A run that includes its end, or begins a day early, may spoil a window that matched before, whose stored verdict
        would otherwise still say so.
        """
        for window in self._beside() if self.built else ():
            outputs = [output for output in self._outputs(window) if not output.as_a_whole]
            partition = self.mirror.partitions.key_of(window)
            known = [
                output
                for output in outputs
                if self.log.last_write(self.compared.keys[output.name][1], partition)
            ]
            mismatches = [(output, check) for output in known for check in [self._compare(output, window)]
                     if check.verdict is Verdict.MISMATCH]  # fmt: skip
            if not mismatches:
                continue
            moment = self._moment(window, [output for output, _ in mismatches], True, None)
            for output, check in mismatches:
                now, tests = self._judged(output, check, moment)
                if now.verdict is Verdict.MISMATCH:
                    reason = f"{now.reason}; found after the run of {self.windows[0]} … {self.windows[-1]}"
                    yield self._evaluation(output, replace(now, reason=reason), tests, moment)

    def _beside(self) -> Iterator[Scheduled]:
        first, last = self.windows[0], self.windows[-1]
        if isinstance(first, Occasion) or isinstance(last, Occasion):
            return
        yield from self.mirror.partitions.beside(first, last)

    def _compare(self, output: Output, window: Moment, as_of: datetime | None = None) -> Check:
        from dagster_defs.usecases.check import compare_output

        last = self.windows[-1]
        if output.as_a_whole and window != last:
            reason = f"compared as a whole table, with this run's last window ({last})"
            return Check(output.name, Verdict.INCONCLUSIVE, reason)
        try:
            return compare_output(output, wait_s=SECONDS_FOR_LOCKS, as_of=as_of)
        except ParityError as error:
            return Check(output.name, Verdict.INCONCLUSIVE, str(error))

    def _evaluate_tests(self, outputs: Sequence[Output], window: Moment) -> LegacyVerdicts | None:
        """Evaluate legacy's dbt tests if no Dagster run has reported them; once, with the last window."""
        if self.compared.tests is None or window != self.windows[-1]:  # a test looks at every window's rows
            return None
        records = [self._records(output, window) for output in outputs]
        if any(self._tests_of(record.legacy) for record in records):
            return None
        ours = {check for record in records for check in self._tests_of(record.candidate)}
        run_id = self.context.run.run_id
        return self.compared.tests.evaluate(ours, self.windows, run_id, SECONDS_FOR_LOCKS)

    def _moment(
        self,
        window: Moment,
        outputs: Sequence[Output],
        airflow_answers: bool,
        evaluated: LegacyVerdicts | None,
    ) -> "_Moment":
        unit, partition = self.mirror.legacy_unit, self._name(window)
        records = {output.name: self._records(output, window) for output in outputs}
        runs = [run for record in records.values() if (run := self.log.legacy_run(unit, record.legacy))]
        legacy = max(runs, key=lambda run: run.write.position, default=None)
        since = (
            started_since(self.log, unit, legacy, partition, None if isinstance(window, Occasion) else window)
            if airflow_answers
            else Since(None, None)
        )
        return _Moment(window, partition, records, legacy, since, evaluated)

    def _judged(self, output: Output, check: Check, moment: "_Moment") -> tuple[Check, str]:
        """The check, judged together with the dbt tests, the fairness of the moment and what Airflow rendered; and the
        summary of the tests."""
        from dagster_defs.usecases.check import keeps_its_past

        keys = _, shadow = self.compared.keys[output.name]
        records, of_all = moment.records[output.name], self._is_of_all(output, moment.window)
        window = None if isinstance(moment.window, Occasion) else moment.window
        now = standing(
            self.log,
            keys,
            records,
            window,
            as_a_whole=of_all,
            started_since=moment.since.of_any if of_all else moment.since.of_window,
            not_built=self._not_built(shadow, records.candidate) if moment.window in self.windows else "",
            not_made=self._not_made(shadow, moment.window, records.legacy),
        )
        past = read_as_of(now)
        if now.legacy and unfair_reason(now) and not unfair_reason(past) and keeps_its_past(output):
            check, now = self._compare(output, moment.window, now.legacy.ended), past
        tests, differing = self._tests(output, records, now, moment)
        check = with_tests(check, differing)
        if check.verdict is Verdict.MISMATCH:
            upstream = written_between(self.log, self.compared.reads, now.legacy, now.candidate, window)
            now = replace(now, upstream=upstream)
        check = judged(check, now)
        if others := differing_values(self.mirror.declared(), moment.window, self._rendered(moment.window)):
            check = replace(check, reason=f"{check.reason}; the mirror's {', '.join(others)}")
        return check, tests

    def _evaluation(
        self, output: Output, check: Check, tests: str, moment: "_Moment"
    ) -> dg.AssetCheckEvaluation:
        _, shadow = self.compared.keys[output.name]
        records, partition = moment.records[output.name], moment.partition
        of_event = self.mirror.event is not None
        whole = output.as_a_whole and not of_event
        checked = WindowCheck(self.mirror.legacy_unit, None if whole else partition, check)
        self.context.log.info(f"{output.name} of {partition}: {checked.verdict}, {checked.check.reason}")
        built = records.candidate
        target = (
            None
            if built is None
            else AssetCheckEvaluationTargetMaterializationData(
                storage_id=built.position, run_id=built.run_id, timestamp=built.at.timestamp()
            )
        )
        return dg.AssetCheckEvaluation(
            asset_key=shadow,
            check_name=PARITY,
            passed=checked.verdict is Verdict.MATCH,
            severity=SEVERITY.get(checked.verdict, dg.AssetCheckSeverity.ERROR),
            description=markdown(checked.check.reason),
            metadata=evidence_metadata(
                checked,
                moment.window,
                airflow_run=moment.legacy.address if moment.legacy else "",
                dbt_tests=tests,
                occurred=moment.legacy.write.began if moment.legacy else None,
            ),
            partition=None if of_event else partition,
            target_materialization_data=target,
        )

    def _not_built(self, shadow: dg.AssetKey, event: WindowEvent | None) -> str:
        """Why this run has not produced the candidate that it should have."""
        if not self.built or shadow not in self.context.selected_asset_keys:
            return ""
        if event is not None and event.run_id == self.context.run.run_id:
            return ""
        why = str(self.failure).splitlines()[0] if self.failure else "dbt skipped it"
        return f"the candidate run did not build it: {why}"

    def _not_made(self, shadow: dg.AssetKey, window: Moment, legacy: WindowEvent | None) -> tuple[str, ...]:
        """Inputs of this output that legacy had, but that other units' candidates have not built for this window.

        Which windows a run without one has read is not known; in the same DAG, it has read what the same run wrote.
        """
        if isinstance(window, Occasion):
            return tuple(self._not_made_in(shadow, window.run_id))
        reasons: list[str] = []
        before = legacy.position if legacy else 0
        for key in self._read_by(shadow):
            maker = self.compared.unit.maker_of(key)
            partitions = maker.partitions_over(window) if maker else ()
            if maker and partitions:
                reasons += self.log.not_made(maker.legacy_unit, (legacy_key(key), key), partitions, before)
        return tuple(reasons)

    def _not_made_in(self, shadow: dg.AssetKey, run_id: str) -> Iterator[str]:
        for key in self._read_by(shadow):
            maker = self.compared.unit.maker_of(key)
            if (
                maker is None
                or maker.event is None
                or maker.legacy_unit.dag_id != self.mirror.legacy_unit.dag_id
            ):
                continue
            if self.log.last_write_in(legacy_key(key), run_id) and not self.log.last_write_in(key, run_id):
                made = f"{key.to_user_string()} of {run_id}"
                yield f"{made} is missing: {maker.legacy_unit} has had no candidate run of it"

    def _read_by(self, shadow: dg.AssetKey) -> list[dg.AssetKey]:
        """Shadows of other units that this one is derived from, directly or through the unit's own shadows."""
        specs = {spec.key: spec for spec in self.context.assets_def.specs}
        inputs: set[dg.AssetKey] = set()
        waiting = {shadow}
        while waiting:
            inputs |= waiting
            deps = {dep.asset_key for key in waiting if key in specs for dep in specs[key].deps}
            waiting = deps - inputs
        own = specs.keys() | self.compared.unit.also_written
        return sorted(key for key in inputs - own if is_shadow(key))

    def _tests(
        self, output: Output, records: Records, now: Standing, moment: "_Moment"
    ) -> tuple[str, list[str]]:
        """A summary of the dbt tests on both sides, and the names of those that differ."""
        if self.compared.tests is None or not self.compared.tests.ids:
            return "none: the unit runs no dbt tests", []
        ours, theirs = self._tests_of(records.candidate), self._tests_of(records.legacy)
        if not ours:
            return "not known: no run has reported the candidate's", []
        beside: LegacyVerdicts | None = LegacyVerdicts(theirs) if theirs else moment.evaluated
        if beside is None:
            return "not known: no Dagster run has reported legacy's", []
        if not theirs and (why := unfair_tests_reason(now, moment.since.of_any)):
            return f"not known: {why}", []
        compared = {key for key, _ in self.compared.keys.values()}
        return beside.beside(ours, self.compared.keys[output.name][0], compared)

    def _tests_of(self, event: WindowEvent | None) -> Verdicts:
        """The results of the dbt tests in the run that left this record."""
        run_id = event.run_id if event else ""
        if run_id and run_id not in self._results_by_run:
            results = self.log.tests(run_id)
            self._results_by_run[run_id] = {
                check: passed for check, passed in results.items() if check.name != PARITY
            }
        return self._results_by_run.get(run_id, {})

    @cached_property
    def _results_by_run(self) -> dict[str, Verdicts]:
        return {}


@dataclass(frozen=True)
class _Moment:
    """A window, or a run without one, right after its outputs were compared."""

    window: Moment
    partition: str
    records: Mapping[str, Records]
    legacy: LegacyRun | None
    since: Since
    evaluated: LegacyVerdicts | None


def _output_name(context: dg.AssetExecutionContext, key: dg.AssetCheckKey) -> str:
    specs: Mapping[str, dg.AssetCheckSpec] = context.assets_def.check_specs_by_output_name
    return next(name for name, spec in specs.items() if spec.key == key)
