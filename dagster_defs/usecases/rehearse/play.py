"""Runs each window on both sides, and compares the results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from dagster_defs.adapters.processes.waiting import reminding
from dagster_defs.errors import Unaligned
from dagster_defs.lifecycle.mirrors import Output, TableOutput
from dagster_defs.lifecycle.rehearsals import RUN_NAMES, Rehearsal, results_check
from dagster_defs.lifecycle.rendered import RenderedValues, outputs_of
from dagster_defs.lifecycle.verdicts import WindowCheck
from dagster_defs.parity import Check, Side, Verdict
from dagster_defs.usecases.check import compare_output
from dagster_defs.usecases.rehearse.setup import Progress, Ready
from dagster_defs.usecases.rehearse.sides import Statuses, reason_of
from dagster_defs.usecases.rehearse.windows import name_of
from dagster_defs.windows import Scheduled

Run = Callable[[Scheduled, str], Statuses]
"""Runs a window, given its partition key; raises if the run fails."""

# Names the row that says why a window was not compared; like the runs' names it has a space, as no model's name does.
_NO_PARTITION = "no partition"


@dataclass(frozen=True)
class Play:
    """`runs`: one per side, in execution order. `names`: how the rows of failed runs are named."""

    ready: Ready
    runs: Mapping[Side, Run]
    names: Mapping[Side, str] = field(default_factory=lambda: RUN_NAMES)

    def all_windows(self, progress: Progress) -> Rehearsal:
        """A failed run makes its own window inconclusive, and no other."""
        began = time.monotonic()
        windows = self.ready.windows
        checks = [check for window in progress.each(windows) for check in self._window(window, progress)]
        not_run = {*self.names.values(), _NO_PARTITION}
        complete = not_run.isdisjoint(checked.check.name for checked in checks)
        whole = list(self._whole_tables(windows[-1], complete))
        names = tuple(name_of(self.ready.mirror, window) for window in windows)
        seconds = time.monotonic() - began
        return Rehearsal(self.ready.mirror.legacy_unit, names, seconds, (*checks, *whole))

    def _window(self, window: Scheduled, progress: Progress) -> Iterator[WindowCheck]:
        try:
            key = self.ready.mirror.partitions.key_of(window)
        except Unaligned as error:
            yield self._inconclusive(str(window), _NO_PARTITION, str(error))
            return
        statuses: dict[Side, Statuses] = {}
        for side, run in self.runs.items():
            try:
                with reminding(f"{key}: waiting for {self.names[side]}", progress.say):
                    statuses[side] = run(window, key)
            except Exception as error:  # a failed window is a verdict; the others go on
                yield self._inconclusive(key, self.names[side], reason_of(error))
        if len(statuses) < len(Side):
            return
        for output in self._outputs_of(window):
            yield self._checked(key, compare_output(output))
        if self.ready.mirror.dbt_mirror is not None:
            yield self._checked(
                key, results_check(statuses[Side.LEGACY], statuses[Side.CANDIDATE], self.names)
            )

    def _outputs_of(self, window: Scheduled) -> Iterator[Output]:
        """The windowed outputs, within the bounds that Airflow rendered: the mirror's own bounds may be wrong."""
        calls = [
            RenderedValues(call.vars, call.event_time, {**call.literal, **call.rendered})
            for call in self.ready.dbt_calls(window)
        ]
        outputs = outputs_of(self.ready.mirror, window, calls)
        return (output for output in outputs if not output.as_a_whole)

    def _whole_tables(self, last: Scheduled, complete: bool) -> Iterator[WindowCheck]:
        """Both sides began empty and ran the same windows, so whole tables must be equal too, including rows outside
        the windows."""
        for output in self.ready.mirror.outputs_of(last):
            if not isinstance(output, TableOutput):
                continue
            if complete:
                whole = replace(output, time_column=None, lower=None, upper=None)
                yield self._checked(None, compare_output(whole))
            else:
                reason = "a run failed, so the two sides did not do the same work"
                yield self._inconclusive(None, output.name, reason)

    def _checked(self, key: str | None, check: Check) -> WindowCheck:
        return WindowCheck(self.ready.mirror.legacy_unit, key, check)

    def _inconclusive(self, key: str | None, name: str, reason: str) -> WindowCheck:
        return self._checked(key, Check(name, Verdict.INCONCLUSIVE, reason))
