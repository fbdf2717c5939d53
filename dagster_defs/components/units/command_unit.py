"""The mirror of a task that runs a program without dbt: Dagster runs the same program in a place of the same kind."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import dagster as dg

from dagster_defs.adapters.containers.container import Facts
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.processes.piped import Log, TimeLeft, run_piped
from dagster_defs.adapters.processes.remote import FAILED, remote
from dagster_defs.components.runs.callbacks import Told
from dagster_defs.components.runs.run_window import window_metadata
from dagster_defs.components.runs.skips import pass_on
from dagster_defs.components.runs.tries import time_limit
from dagster_defs.components.units.command_places import ContainerPlace, SshPlace
from dagster_defs.components.units.scaffold import CommandUnitScaffolder
from dagster_defs.components.units.task_unit import ProcessUnit, TemplateUnit
from dagster_defs.errors import BadUnit, CommandFailed, TimedOut
from dagster_defs.lifecycle import tags
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.windows import Moment, PartitionVars

# The operator's own names of its command and its environment, and what it takes for the name of a template file.
OF_BASH = ("bash_command", "env", (".sh", ".bash"))
OF_SSH = ("command", "environment", (".sh",))
SKIP = 99


@dg.scaffold_with(CommandUnitScaffolder)
@dataclass
class CommandUnit(TemplateUnit, ProcessUnit):
    """A legacy task that runs a program, in a place of the same kind.

    By bash in this project's environment, as a BashOperator does; on another host (`ssh`), as an SSHOperator does; or
    in a container (`container`), as a DockerOperator or a KubernetesPodOperator does.
    """

    command: Annotated[
        str,
        dg.Resolver.passthrough(
            description=(
                "The operator's bash_command, or with `ssh` its command: a template, or the name of a file that ends "
                "with .sh or, for bash, .bash. A `container` has a command of its own."
            ),
            examples=["aws s3 cp orders_{{ ds }}.csv $TARGET"],
        ),
    ] = field(default="", kw_only=True)
    command_env: Annotated[
        Mapping[str, str],
        dg.Resolver.passthrough(
            description="The operator's env, or with `ssh` its environment; the values are templates."
        ),
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
    ssh: Annotated[SshPlace | None, dg.Resolver.default(description="The host that the command runs on.")] = (
        field(default=None, kw_only=True)
    )
    container: Annotated[
        ContainerPlace | None,
        dg.Resolver.default(description="The container that runs, in place of `command`."),
    ] = field(default=None, kw_only=True)
    skip_on_exit_code: Annotated[
        Sequence[int] | None,
        dg.Resolver.default(
            description=(
                "The operator's skip_on_exit_code: exit codes that mean skipped; by default the operator's own, which "
                "is 99 for bash, and none for `ssh` and `container`."
            )
        ),
    ] = field(default=None, kw_only=True)

    @property
    def own_kind(self) -> str:
        if self.container is not None:
            return self.container.engine
        return "bash" if self.ssh is None else "ssh"

    @property
    def does(self) -> str:
        return "the command"

    @cached_property
    def variables(self) -> PartitionVars:
        if self.container is not None:
            return self.compile_templates(self.container.templates, "container", self.params)
        field, env, endings = OF_BASH if self.ssh is None else OF_SSH
        templates: dict[str, Any] = {field: self.template_text("command", self.command, endings)}
        if self.command_env:
            templates[env] = {"template": self.command_env}
        return self.compile_templates(templates, "command", self.params)

    def refuse_faults(self, *, resolved: bool) -> None:
        super().refuse_faults(resolved=resolved)
        if self.container is not None:
            self._refuse_beside("container", "ssh", "command", "command_env", "append_env", "cwd")
            self.container.refuse_faults(self.unit)
            return
        if not self.command.strip():
            raise BadUnit(self.unit, "`command` is empty", "Write what the task runs")
        if self.ssh is not None:
            self._refuse_beside("ssh", "append_env", "cwd")
            self.ssh.refuse_faults(self.unit, [*self.command_env, *self.env.legacy, *self.env.candidate])

    def _refuse_beside(self, place: str, *names: str) -> None:
        if given := [name for name in names if getattr(self, name)]:
            raise BadUnit(self.unit, f"`{given[0]}` means nothing beside `{place}`", "Remove one of them")

    def work(
        self, context: dg.AssetExecutionContext, side: Side, told: Told
    ) -> Iterator[dg.MaterializeResult[None]]:
        window = self.window_of_side(context, side)
        told.begins()
        rendered = self.variables.for_window(window)
        if side is Side.CANDIDATE:
            self.refuse_same_variables(self._environment(Side.LEGACY, rendered))
        with self.tries.of(context):
            code, facts = self._run(context, side, window, rendered)
            if code != 0 and code not in self._skipping:
                raise CommandFailed(self.unit, code, self._remedy(code))
            state = "success" if code == 0 else "skipped"
            if code != 0:
                told.skips()
            if tags.AIRFLOW_TRY in context.run.tags and not pass_on(context, state):
                # Airflow's tasks after it would run as after a success.
                reason = "It means skipped, and this proxy of Airflow's cannot pass that on: update handover/ there"
                raise CommandFailed(self.unit, code, reason)
        metadata = {**window_metadata([window]), tags.AIRFLOW_STATE: state}
        for result in self.results(context, metadata):
            yield result._replace(metadata={**facts.get(result.asset_key, {}), **metadata})

    @property
    def _skipping(self) -> Sequence[int]:
        if self.skip_on_exit_code is not None:
            return self.skip_on_exit_code
        return [SKIP] if self.own_kind == "bash" else []

    def _remedy(self, code: int) -> str:
        if self.ssh is not None and code == FAILED:
            return "This is ssh's own code for a connection that failed or was lost, too. Read the run's log"
        return "Read the run's log"

    def _run(
        self, context: dg.AssetExecutionContext, side: Side, window: Moment, rendered: Mapping[str, Any]
    ) -> tuple[int, Facts]:
        """The exit code, and what the program itself has reported about its assets."""
        env, log = self._environment(side, rendered), Log(context.log.info)
        if self.container is not None:
            with time_limit(context, f"the container of {window}", self.timeout):
                labels = {
                    tags.UNIT: self.unit,
                    tags.SIDE: side.value,
                    tags.CONTAINER_WINDOW: str(window),
                }
                return self.container.run(context, self.unit, rendered, env, labels, log)
        left = TimeLeft(self.timeout)
        if self.ssh is not None:
            words, given = remote(self.ssh.host_from(self.root), str(rendered["command"]), env)
            ours = Settings.from_process().variables
            code = run_piped(words, env=ours, log=log, is_over=left.is_over, stdin=given)
        else:
            code = self._run_bash(str(rendered["bash_command"]), env, log, left)
        if code is None:
            assert self.timeout is not None  # noqa: S101 - only a limit can have passed
            raise TimedOut(f"the command of {window}", self.timeout)
        return code, {}

    def _run_bash(self, text: str, env: Mapping[str, str], log: Log, left: TimeLeft) -> int | None:
        with tempfile.TemporaryDirectory(prefix="parity-command-", ignore_cleanup_errors=True) as folder:
            script = Path(folder) / "command.sh"
            is_file = self.command.endswith(OF_BASH[-1])
            if is_file:
                atomic.write_text(script, text, mode=atomic.PRIVATE)
            work = Path(folder) / "work"
            work.mkdir()
            return run_piped(
                [shutil.which("bash") or "bash", *([str(script)] if is_file else ["-c", text])],
                env=env,
                cwd=(self.root / self.cwd).resolve() if self.cwd else work,
                log=log,
                is_over=left.is_over,
            )

    def _environment(self, side: Side, rendered: Mapping[str, Any]) -> dict[str, str]:
        """As the operator's. A BashOperator's own variables replace the process's, unless they are appended; other
        operators give nothing but their own."""
        if self.container is not None:
            own = self.container.rendered(rendered).get("env", {})
        else:
            own = rendered.get((OF_BASH if self.ssh is None else OF_SSH)[1]) or {}
        given = {name: str(value) for name, value in own.items()}
        if self.own_kind == "bash":
            inherited = Settings.from_process().variables if self.append_env or not own else {}
            unit = self.legacy_unit
            context = {"AIRFLOW_CTX_DAG_ID": unit.dag_id, "AIRFLOW_CTX_TASK_ID": unit.task_id}
            given = {**inherited, **given, **context}
        return {**given, **self.env.of(side)}
