"""A rehearsal: Airflow's commands and Dagster's runs of the same windows, side by side, without Airflow.

The reasons are in docs/decisions/0011-rehearsal.md.
"""

from __future__ import annotations

from pathlib import Path

from dagster_defs.adapters.dbt.workspaces import workspace_of
from dagster_defs.adapters.processes.waiting import reminding
from dagster_defs.inventory.replay import FunctionCall
from dagster_defs.lifecycle.rehearsals import Rehearsal
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.usecases.rehearse.play import Play, Run
from dagster_defs.usecases.rehearse.setup import Progress, Ready, ready
from dagster_defs.usecases.rehearse.sides import CandidateJob, LegacyDbt, Statuses, call_legacy_function
from dagster_defs.usecases.rehearse.windows import Span
from dagster_defs.windows import Scheduled


def rehearse(settings: Settings, unit: str, span: Span, file: Path | None, progress: Progress) -> Rehearsal:
    """Run the windows on both sides and compare them. Raises what `ready` raises."""
    with ready(settings, unit, span, file, progress) as prepared:
        loading = "waiting for Dagster to load the candidate job, and for dbt to parse the project"
        with progress.step("Candidate job loaded"), reminding(loading, progress.say):
            log = prepared.run_dir / "candidate.log"
            candidate = CandidateJob.of(prepared.mirror, settings.root, log)
        # The candidate runs first, so whatever it reads from the legacy side is from earlier windows.
        runs = {Side.CANDIDATE: candidate.run, Side.LEGACY: legacy_run(prepared)}
        return Play(prepared, runs).all_windows(progress)


def legacy_run(prepared: Ready, side: Side = Side.LEGACY, name: str = "legacy") -> Run:
    """What Airflow's task does in a window; dbt writes to the target of `side`, and logs under `name`."""
    dbt, legacy = prepared.mirror.dbt_mirror, None
    if dbt is not None:
        legacy = LegacyDbt(workspace_of(dbt, side), prepared.run_dir / name, prepared.folder)

    def run(window: Scheduled, key: str) -> Statuses:
        calls = prepared.calls[window]
        if isinstance(calls, FunctionCall):
            return call_legacy_function(calls, prepared.mirror.python_folder)
        assert legacy is not None  # noqa: S101 - only a dbt unit has dbt calls
        return legacy.run(calls, key)

    return run
