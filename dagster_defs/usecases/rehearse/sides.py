"""How each side of a rehearsal runs one window: Airflow's command, and Dagster's own run."""

from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.workspaces import workspace_of
from dagster_defs.adapters.processes.guardian import GUARDIAN
from dagster_defs.errors import DbtFailed, FunctionMissing, ParityError, RunFailed
from dagster_defs.inventory.arguments import accepts
from dagster_defs.inventory.replay import DbtCall, FunctionCall
from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.parity import Side
from dagster_defs.usecases.rehearse.folder import RehearsalFolder
from dagster_defs.windows import Scheduled

Statuses = Mapping[str, str]
"""How dbt's nodes ended, by unique id; empty for a unit that runs no dbt."""


def command_environment(call: DbtCall, rehearsal: RehearsalFolder, folder: Path) -> dict[str, str]:
    """The whole environment of a rehearsed legacy command, whose artifacts go to `folder`.

    Values that Airflow rendered for the window override this process's variables, which override literals in the DAG
    file.
    """
    ours = {
        "DBT_TARGET_PATH": str(folder),
        "DBT_LOG_PATH": str(folder),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    return {
        **call.literal,
        **rehearsal.settings.variables,
        **call.rendered,
        **rehearsal.variables,
        **ours,
    }


@dataclass(frozen=True)
class LegacyDbt:
    """Airflow's dbt calls, in the rehearsal's target. dbt's artifacts and output go to `folder`."""

    workspace: DbtWorkspace
    folder: Path
    rehearsal: RehearsalFolder

    def run(self, calls: Sequence[DbtCall], name: str) -> Statuses:
        """Run the calls in order and stop at a failure, unless the task would not have noticed it.

        Raises DbtFailed.
        """
        statuses: dict[str, str] = {}
        for number, call in enumerate(calls, start=1):
            log = self.folder / f"{name}-{number}.log"
            done = self._call(call, log)
            results = self._results()
            statuses |= {result["unique_id"]: result["status"] for result in results}
            if done != 0 and not call.masked:
                raise DbtFailed(call.words, _failures(results) or _tail(log), log)
        return statuses

    def _call(self, call: DbtCall, log: Path) -> int:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._results_file.unlink(missing_ok=True)
        with log.open("wb") as output:
            return subprocess.run(
                [str(self.workspace.program), *call.words, *self._places(call)],
                cwd=self.workspace.project_dir,
                env=GUARDIAN.environment(command_environment(call, self.rehearsal, self.folder)),
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode

    def _places(self, call: DbtCall) -> list[str]:
        workspace = self.workspace
        places = {
            "--project-dir": str(workspace.project_dir),
            "--profiles-dir": str(workspace.profiles_dir),
            "--target": workspace.target,
        }
        accepted = [(option, value) for option, value in places.items() if accepts(call.command, option)]
        return [*(word for place in accepted for word in place), "--no-use-colors"]

    @property
    def _results_file(self) -> Path:
        return self.folder / "run_results.json"

    def _results(self) -> list[Mapping[str, Any]]:
        return _results(self._results_file)


def call_legacy_function(call: FunctionCall, folder: Path) -> Statuses:
    """Call Airflow's function with the arguments that Airflow rendered; `folder` is put on the path.

    Raises whatever the function does, and FunctionMissing if it cannot be found.
    """
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module, _, name = call.name.rpartition(".")
    try:
        function: Callable[..., object] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise FunctionMissing(call.name, folder, str(error)) from error
    function(*call.args, **call.kwargs)
    return {}


@dataclass(frozen=True)
class CandidateJob:
    """Dagster's candidate job of a unit, run in this process on an ephemeral instance."""

    mirror: Mirror
    job: Any
    log: Path

    @classmethod
    def of(cls, mirror: Mirror, project_root: Path, log: Path) -> CandidateJob:
        """Raises what building the mirror's definitions raises."""
        import dagster as dg

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Dagster's beta features: one warning per asset
            definitions = mirror.building_defs(dg.ComponentTree.for_project(project_root).load_context)
        return cls(mirror, definitions.resolve_job_def(mirror.job_name(Side.CANDIDATE)), log)

    def run(self, window: Scheduled, partition: str) -> Statuses:
        """Raises RunFailed with the reason of the step that failed."""
        import dagster as dg

        self.log.parent.mkdir(parents=True, exist_ok=True)
        # As Airflow's proxy launches it: the run checks that this is its window, and does not retry itself.
        proxied = {
            tags.PARTITION: partition,
            tags.WINDOW_START: window.start.isoformat(),
            tags.WINDOW_END: window.end.isoformat(),
            tags.AIRFLOW_TRY: "1",
        }
        with (
            self.log.open("a", encoding="utf-8") as output,
            contextlib.redirect_stdout(output),  # dbt and functions print; stdout is for the command's result
            dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance,
        ):
            result = self.job.execute_in_process(
                instance=instance,
                tags=proxied,
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        if not result.success:
            raise RunFailed(f"the candidate run of {partition}", _reason(result), str(self.log))
        return self._statuses(result.run_id)

    def _statuses(self, run_id: str) -> Statuses:
        if (dbt := self.mirror.dbt_mirror) is None:
            return {}
        runs = workspace_of(dbt, Side.CANDIDATE).target_path / "runs" / run_id
        return {
            result["unique_id"]: result["status"]
            for file in sorted(runs.glob("*/run_results.json"))
            for result in _results(file)
        }


def reason_of(error: Exception) -> str:
    """One line: the message of a ParityError, or type and message of any other error."""
    message = " ".join(str(error).split())
    return message if isinstance(error, ParityError) else f"{type(error).__name__}: {message}"


def _results(file: Path) -> list[Mapping[str, Any]]:
    with contextlib.suppress(FileNotFoundError, ValueError):
        results: list[Mapping[str, Any]] = json.loads(file.read_text())["results"]
        return results
    return []


def _failures(results: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"{result['unique_id']}: {' '.join(str(result.get('message') or result['status']).split())}"
        for result in results
        if result["status"] in ("error", "fail", "runtime error")
    ]


def _tail(log: Path) -> list[str]:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return [" ".join(lines[-3:])] if lines else []


def _reason(result: Any) -> str:
    for event in result.all_events:
        if event.is_step_failure and (error := event.step_failure_data.error) is not None:
            while error.cause is not None:
                error = error.cause
            return " ".join(error.message.split())
    return "FAILURE"
