"""Two runs of each window, one for each side, and what both left behind compared."""

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
from dagster_defs.usecases.rehearse.upstream import as_dbt
from dagster_defs.usecases.rehearse.windows import name_of
from dagster_defs.windows import Window

Run = Callable[[Window, str], Statuses]
"""Runs a window, by its partition key; raises if that fails."""

# The name of a row that says why a window was not compared, as the names of runs; no model's name has a blank.
_NO_PARTITION = "no partition"


@dataclass(frozen=True)
class Play:
    """`runs` of the two sides, in the order in which they run; `names` are those of the rows of failed runs."""

    ready: Ready
    runs: Mapping[Side, Run]
    names: Mapping[Side, str] = field(default_factory=lambda: RUN_NAMES)

    def all_windows(self, progress: Progress) -> Rehearsal:
        """A run that fails makes its window inconclusive, and leaves the others alone."""
        began = time.monotonic()
        windows = self.ready.windows
        checks = [check for window in progress.each(windows) for check in self._window(window, progress)]
        not_run = {*self.names.values(), _NO_PARTITION}
        complete = not_run.isdisjoint(checked.check.name for checked in checks)
        whole = list(self._whole_tables(windows[-1], complete))
        names = tuple(name_of(self.ready.mirror, window) for window in windows)
        seconds = time.monotonic() - began
        return Rehearsal(self.ready.mirror.legacy_unit, names, seconds, (*checks, *whole))

    def _window(self, window: Window, progress: Progress) -> Iterator[WindowCheck]:
        try:
            key = self.ready.mirror.partitions.key_of(window)
        except Unaligned as error:
            yield self._inconclusive(str(window), _NO_PARTITION, str(error))
            return
        found: dict[Side, Statuses] = {}
        for side, run in self.runs.items():
            try:
                with reminding(f"{key}: waiting for {self.names[side]}", progress.say):
                    found[side] = run(window, key)
            except Exception as error:  # a window that fails is a verdict; the others go on
                yield self._inconclusive(key, self.names[side], reason_of(error))
        if len(found) < len(Side):
            return
        for output in self._outputs_of(window):
            yield self._checked(key, compare_output(output))
        if as_dbt(self.ready.mirror) is not None:
            yield self._checked(key, results_check(found[Side.LEGACY], found[Side.CANDIDATE], self.names))

    def _outputs_of(self, window: Window) -> Iterator[Output]:
        """What has a window, between the bounds that Airflow rendered: the mirror's own may be what is wrong."""
        calls = [RenderedValues(call.vars, call.event_time) for call in self.ready.dbt_calls(window)]
        found = outputs_of(self.ready.mirror, window, calls)
        return (output for output in found if not output.as_a_whole)

    def _whole_tables(self, last: Window, complete: bool) -> Iterator[WindowCheck]:
        """Both sides began empty and ran the same windows: then their tables are equal as wholes too, also
        outside of the windows."""
        for output in self.ready.mirror.outputs_of(last):
            if not isinstance(output, TableOutput):
                continue
            if complete:
                whole = replace(output, time_column=None, lower=None, upper=None)
                yield self._checked(None, compare_output(whole))
            else:
                reason = "a run has failed, so the sides have not done the same"
                yield self._inconclusive(None, output.name, reason)

    def _checked(self, key: str | None, check: Check) -> WindowCheck:
        return WindowCheck(self.ready.mirror.legacy_unit, key, check)

    def _inconclusive(self, key: str | None, name: str, reason: str) -> WindowCheck:
        return self._checked(key, Check(name, Verdict.INCONCLUSIVE, reason))
