"""The mirror of a task that runs a shell command without dbt: Dagster runs the same command."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import dagster as dg

from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.processes.piped import Log, TimeLeft, run_piped
from dagster_defs.components.runs.run_window import window_metadata
from dagster_defs.components.runs.skips import pass_on
from dagster_defs.components.units.scaffold import CommandUnitScaffolder
from dagster_defs.components.units.task_unit import ProcessUnit, TemplateUnit
from dagster_defs.errors import BadUnit, CommandFailed, TimedOut
from dagster_defs.lifecycle import tags
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.windows import Moment, PartitionVars

SCRIPTS = (".sh", ".bash")
SKIP = 99


@dg.scaffold_with(CommandUnitScaffolder)
@dataclass
class CommandUnit(TemplateUnit, ProcessUnit):
    """A legacy BashOperator: the same command, rendered for the window, run by bash in this project's environment."""

    command: Annotated[
        str,
        dg.Resolver.passthrough(
            description="The operator's bash_command: a template, or the name of a file that ends with .sh or .bash.",
            examples=["aws s3 cp orders_{{ ds }}.csv $TARGET"],
        ),
    ] = field(default="", kw_only=True)
    command_env: Annotated[
        Mapping[str, str],
        dg.Resolver.passthrough(description="The operator's env; the values are templates."),
    ] = field(default_factory=dict, kw_only=True)
    append_env: Annotated[
        bool,
        dg.Resolver.default(
            description="The operator's append_env: whether `command_env` is added to the environment, or replaces it."
        ),
    ] = field(default=False, kw_only=True)
    cwd: Annotated[
        str | None,
        dg.Resolver.default(
            description="The operator's cwd, relative to the project; by default a new empty folder."
        ),
    ] = field(default=None, kw_only=True)
    skip_on_exit_code: Annotated[
        Sequence[int],
        dg.Resolver.default(description="The operator's skip_on_exit_code: exit codes that mean skipped."),
    ] = field(default_factory=lambda: [SKIP], kw_only=True)

    own_kind = "bash"

    @property
    def does(self) -> str:
        return "the command"

    @cached_property
    def variables(self) -> PartitionVars:
        text = self.template_text("command", self.command, SCRIPTS)
        templates: dict[str, Any] = {"bash_command": text}
        if self.command_env:
            templates["env"] = {"template": self.command_env}
        return self.compile_templates(templates, "command", self.params)

    def refuse_faults(self, *, resolved: bool) -> None:
        super().refuse_faults(resolved=resolved)
        if not self.command.strip():
            raise BadUnit(self.unit, "`command` is empty", "Write what the task runs")

    def work(self, context: dg.AssetExecutionContext, side: Side) -> Iterator[dg.MaterializeResult[None]]:
        window = self.window_of_side(context, side)
        if side is Side.CANDIDATE:
            rendered = self.variables.for_window(window)
            self.refuse_same_variables(self._environment(Side.LEGACY, rendered.get("env") or {}))
        with self.tries.of(context):
            code = self._exit_code(context, side, window)
            if code != 0 and code not in self.skip_on_exit_code:
                raise CommandFailed(self.unit, code, "Read the run's log")
            state = "success" if code == 0 else "skipped"
            if tags.AIRFLOW_TRY in context.run.tags and not pass_on(context, state):
                # Airflow's tasks after it would run as after a success.
                reason = "It means skipped, and this proxy of Airflow's cannot pass that on: update handover/ there"
                raise CommandFailed(self.unit, code, reason)
        yield from self.results(context, {**window_metadata([window]), tags.AIRFLOW_STATE: state})

    def _exit_code(self, context: dg.AssetExecutionContext, side: Side, window: Moment) -> int:
        rendered = self.variables.for_window(window)
        left = TimeLeft(self.timeout)
        with tempfile.TemporaryDirectory(prefix="parity-command-", ignore_cleanup_errors=True) as folder:
            script = Path(folder) / "command.sh"
            text = str(rendered["bash_command"])
            is_file = self.command.endswith(SCRIPTS)
            if is_file:
                atomic.write_text(script, text, mode=atomic.PRIVATE)
            work = Path(folder) / "work"
            work.mkdir()
            code = run_piped(
                [shutil.which("bash") or "bash", *([str(script)] if is_file else ["-c", text])],
                env=self._environment(side, rendered.get("env") or {}),
                cwd=(self.root / self.cwd).resolve() if self.cwd else work,
                log=Log(context.log.info),
                is_over=left.is_over,
            )
        if code is None:
            assert self.timeout is not None  # noqa: S101 - only a limit can have passed
            raise TimedOut(f"the command of {window}", self.timeout)
        return code

    def _environment(self, side: Side, own: Mapping[str, Any]) -> dict[str, str]:
        """As BashOperator's: its own variables replace the process's, unless they are appended."""
        settings = Settings.from_process()
        inherited = settings.variables if self.append_env or not own else {}
        unit = self.legacy_unit
        context = {"AIRFLOW_CTX_DAG_ID": unit.dag_id, "AIRFLOW_CTX_TASK_ID": unit.task_id}
        return {
            **inherited,
            **{name: str(value) for name, value in own.items()},
            **context,
            **self.env.of(side),
        }
