"""Compares legacy with itself, to find nondeterminism before a candidate is blamed for it.

It uses the rehearsal's machinery: Airflow's rendered commands, in targets and a folder that nothing else uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

from dagster_defs.adapters.files import atomic
from dagster_defs.lifecycle.mirrors import FileOutput
from dagster_defs.lifecycle.noise import NOISE_NAMES, Noise
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.usecases.rehearse.play import Play, Run
from dagster_defs.usecases.rehearse.run import legacy_run
from dagster_defs.usecases.rehearse.setup import Progress, Ready, ready
from dagster_defs.usecases.rehearse.sides import Statuses
from dagster_defs.usecases.rehearse.windows import Span
from dagster_defs.windows import Scheduled

# How long the proposed tolerances last: the time for a team to make the model deterministic.
TIME_TO_MEND = timedelta(days=90)


def find_noise(settings: Settings, unit: str, span: Span, file: Path | None, progress: Progress) -> Noise:
    """Run each window's legacy command twice and compare both runs. Raises what `ready` raises."""
    with ready(settings, unit, span, file, progress) as prepared:
        second = legacy_run(prepared, Side.CANDIDATE, "legacy-again")
        runs = {Side.LEGACY: legacy_run(prepared), Side.CANDIDATE: _into_candidate_files(prepared, second)}
        rehearsal = Play(prepared, runs, NOISE_NAMES).all_windows(progress)
    return Noise.of(rehearsal, datetime.now(timezone.utc).date() + TIME_TO_MEND)


def _into_candidate_files(prepared: Ready, run: Run) -> Run:
    """A legacy function always writes the same files, so those of the second call are moved to the candidate side."""

    def run_and_move(window: Scheduled, key: str) -> Statuses:
        outputs = prepared.mirror.outputs_of(window)
        files = [
            (Path(output.legacy), Path(output.candidate))
            for output in outputs
            if isinstance(output, FileOutput)
        ]
        with _moved_away([legacy for legacy, _ in files], prepared.folder.folder / "first"):
            statuses = run(window, key)
            for legacy, candidate in files:
                _move(legacy, candidate)
        return statuses

    return run_and_move


@contextmanager
def _moved_away(files: list[Path], folder: Path) -> Iterator[None]:
    """Run the block without these files, as before the first call, and put them back afterwards."""
    kept = [folder / str(number) for number, _ in enumerate(files)]
    for file, place in zip(files, kept, strict=True):
        _move(file, place)
    try:
        yield
    finally:
        for file, place in zip(files, kept, strict=True):
            _move(place, file)


def _move(source: Path, target: Path) -> None:
    if source.exists():
        atomic.move(source, target)
