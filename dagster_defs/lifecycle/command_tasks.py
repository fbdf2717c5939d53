"""What of a task that runs a shell command is known well enough for a `CommandUnit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.legacy_task import Better
from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID
from dagster_defs.lifecycle.task_drafts import Undetermined, kind_of, refuse_undetermined

COMMAND_UNIT = "dagster_defs.components.CommandUnit"
_FILES = (".sh", ".bash")
_SKIPS = [99]  # the operator's default


def draft_command(dag: Dag, task: Task) -> Better | None:
    """None for an operator of another kind."""
    if kind_of(task) != "BashOperator":
        return None
    try:
        attributes = _drafted(dag, task)
    except Undetermined as why:
        return Better.refused(COMMAND_UNIT, task, why)
    where = (
        f"{task.dag_id}.{task.task_id} runs in Dagster's environment: see to it that its programs are there."
    )
    return Better(COMMAND_UNIT, attributes, (where,))


def _drafted(dag: Dag, task: Task) -> dict[str, Any]:
    command, env = task.templated.get("bash_command"), task.templated.get("env") or {}
    if not isinstance(command, str) or not isinstance(env, Mapping):
        raise Undetermined("its command or its env is not text")
    refuse_undetermined(dag, task, {"bash_command": command, "env": dict(env)})
    if command.endswith(_FILES):
        raise Undetermined("its command ends like the name of a file")
    if "append_env" not in task.settings:
        raise Undetermined("the inventory does not say whether its env is appended: export it again")
    folder = task.templated.get("cwd") or task.settings.get("cwd")
    if folder and (not isinstance(folder, str) or "{{" in folder):
        raise Undetermined("its cwd is a template")
    attributes: dict[str, Any] = {"command": command}
    if task.params:
        attributes["params"] = dict(task.params)
    if env:
        attributes["command_env"] = {name: str(value) for name, value in env.items()}
    if task.settings["append_env"]:
        attributes["append_env"] = True
    if folder:
        attributes["cwd"] = folder
    codes = task.settings.get("skip_on_exit_code", _SKIPS)
    skips = [codes] if isinstance(codes, int) else list(codes or [])
    if skips != _SKIPS:
        attributes["skip_on_exit_code"] = skips
    return {**attributes, "shadow": "never", "because": NOBODY_HAS_SAID}
