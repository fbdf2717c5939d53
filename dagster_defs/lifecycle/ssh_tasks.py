"""What of a task that runs a command on another host is known well enough for a `CommandUnit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.legacy_task import Better
from dagster_defs.inventory.team import FILE
from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID
from dagster_defs.lifecycle.command_tasks import COMMAND_UNIT
from dagster_defs.lifecycle.task_drafts import (
    Undetermined,
    kind_of,
    refuse_given,
    refuse_undetermined,
    skips_of,
)

# Waiting for a connection is ssh's own affair, and the time-out of silence is in a note.
_KNOWN = frozenset({"command", "environment", "remote_host", "ssh_conn_id", "skip_on_exit_code", "get_pty"})
_WAITING = frozenset({"conn_timeout", "banner_timeout", "cmd_timeout"})
_FILES = (".sh", ".bash", ".csh", ".zsh", ".dash", ".ksh")


def draft_ssh(dag: Dag, task: Task) -> Better | None:
    """None for an operator of another kind."""
    if kind_of(task) != "SSHOperator":
        return None
    unit = f"{task.dag_id}.{task.task_id}"
    try:
        attributes = _drafted(dag, task)
    except Undetermined as why:
        return Better.refused(COMMAND_UNIT, task, why)
    silence = "its operator fails if the host says nothing for cmd_timeout (10 s by default), and its mirror does not."
    return Better(COMMAND_UNIT, attributes, (f"{unit}: {silence}",))


def _drafted(dag: Dag, task: Task) -> dict[str, Any]:
    refuse_given(task, _KNOWN | _WAITING)
    command, env = task.templated.get("command"), task.templated.get("environment") or {}
    if not isinstance(command, str) or not command.strip() or not isinstance(env, Mapping):
        raise Undetermined("its command or its environment is not text")
    place = _place(task)
    refuse_undetermined(dag, task, {"command": command, "environment": dict(env)})
    if command.endswith(_FILES):
        raise Undetermined("its command ends like the name of a file")
    if task.settings.get("get_pty") or command.startswith("sudo"):
        raise Undetermined("it asks for a terminal (get_pty, or sudo), which a mirror has none of")
    attributes: dict[str, Any] = {"command": command}
    if task.params:
        attributes["params"] = dict(task.params)
    if env:
        attributes["command_env"] = {name: str(value) for name, value in env.items()}
    if skips := skips_of(task):
        attributes["skip_on_exit_code"] = skips
    return {**attributes, "ssh": place, "shadow": "never", "because": NOBODY_HAS_SAID}


def _place(task: Task) -> dict[str, Any]:
    held = {**task.settings, **task.templated}
    name, other = held.get("ssh_conn_id"), held.get("remote_host")
    if not isinstance(name, str) or not name or "{{" in name:
        raise Undetermined("its Connection is not in the inventory")
    if other and (not isinstance(other, str) or "{{" in other):
        raise Undetermined("its remote_host is a template")
    host = task.team.hosts.get(name)
    if host is None:
        raise Undetermined(
            f"say in {FILE} which host its Connection is: hosts: {{{name}: {{host: …, user: …}}}}"
        )
    given = host.model_dump(exclude_defaults=True)
    return {**given, **({"host": other} if other else {})}
