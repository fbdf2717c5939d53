"""Where each kind of operator keeps its commands: shell text, argument lists, fields, Python code."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dagster_defs.inventory.callables import calls_in
from dagster_defs.inventory.calls import SideCommand
from dagster_defs.inventory.cloud_jobs import job_of, steps_of, why_another
from dagster_defs.inventory.document import OperatorCode, Task
from dagster_defs.inventory.holes import HoleKind, Holes
from dagster_defs.inventory.knowledge import MAY_RUN, why_it_may_run_dbt
from dagster_defs.inventory.option_fields import command_of, unsaid_field, words_of
from dagster_defs.inventory.own_code import Delegated
from dagster_defs.inventory.own_operators import follow_function, follow_operator
from dagster_defs.inventory.programs import (
    DBT_COMMANDS,
    ProgramKind,
    only_prepares,
    shell_script,
    what_runs,
)
from dagster_defs.inventory.python_values import Invoked, PythonCall, names_dbt
from dagster_defs.inventory.shell import ShellReading, read_script
from dagster_defs.inventory.team import FILE, untagged

Fields = Mapping[str, Any]
_COMMAND_KEYS, _ARGUMENT_KEYS = ("cmds", "entrypoint", "command"), ("arguments", "args")
_ENV_KEYS = ("env_vars", "environment", "env", "private_environment")
_CONTAINER_KEYS = frozenset({"containerOverrides", "container_overrides", "containers", "overrides"})


@dataclass(frozen=True, slots=True)
class Call:
    """One dbt call of a task; `words` follow `dbt`. If `hidden` gives a reason, the words cannot be trusted.

    If `beside` is set, it is not a dbt call, but the command line of a program that is not seen through. If `side` is
    set, it is a program beside dbt, seen through or not. `cwd`: the folder that it starts in, if it is said.
    """

    words: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    masked: bool = False
    skips: bool = False
    conditional: bool = False
    hidden: str = ""
    beside: str = ""
    side: SideCommand | None = None
    cwd: str = ""

    @property
    def is_dbt(self) -> bool:
        return not (self.beside or self.side)

    @property
    def builds_nothing(self) -> bool:
        """Whether it certainly touches no node of a project, like `dbt deps` or `dbt --version`."""
        return not self.hidden and (not self.is_dbt or only_prepares(self.words))


def find_calls(task: Task, fields: Fields, holes: Holes) -> list[Call]:
    """Every dbt call of a task, from its fields (texts may contain holes), in execution order.

    A task without a visible call has a hidden one, unless it is known not to run dbt. Programs that are not seen
    through are listed beside calls that build something; without such calls, these programs may be running dbt.
    """
    calls, is_read = _calls_of(task, fields, holes)
    unseen = list(dict.fromkeys(call.beside for call in calls if call.beside))
    if unseen and all(call.builds_nothing for call in calls):
        more = f" and {len(unseen) - 3} more" if len(unseen) > 3 else ""
        why = f"{MAY_RUN}{', '.join(unseen[:3])}{more} {'is' if len(unseen) == 1 else 'are'} not seen through"
        return [*(call for call in calls if call.is_dbt), Call(hidden=why)]
    if any(call.is_dbt for call in calls):
        return calls
    if is_read:
        return []
    why = why_it_may_run_dbt(task)
    return [Call(hidden=why)] if why else []


def _calls_of(task: Task, fields: Fields, holes: Holes) -> tuple[list[Call], bool]:
    """The calls, and whether everything that the task starts was visible."""
    for name, value in fields.items():
        if isinstance(value, dict) and "__expand__" in value:
            mapped = [find_calls(task, {**fields, name: element}, holes) for element in value["__expand__"]]
            return [call for calls in mapped for call in calls], bool(mapped)
    if task.own_code is not None:
        found = _from_own_operator(task, task.own_code, fields, holes)
        if found is not None:
            return found
    if (command := command_of(task.classes)) is not None:
        return _from_fields(command, task, fields, holes), True
    # What a field says comes before what a class of the team's own is called.
    if "bash_command" in fields and not any("BashDecorated" in path for path in task.classes):
        return _from_shell(task, fields["bash_command"], _environment(fields, holes), holes), True
    if any("dbt.cloud" in path or "DbtCloud" in path for path in task.classes):
        if not any(name.endswith("RunJobOperator") for name in task.classes):
            return [], True
        return _from_cloud(task, {**task.settings, **fields}, holes), True
    if any(path.endswith("SSHOperator") for path in task.classes):
        return _from_shell(task, fields.get("command"), _environment(fields, holes), holes), True
    if words := task.team.call_of(task.callable_name):
        return [Call(words)], True
    if task.source is not None or (
        any("python" in path.lower() for path in task.classes) and not _fills_command(fields)
    ):
        return _from_python(task, fields, holes), False
    calls = list(_from_containers(task, fields, holes))
    return calls, _has_command({**task.settings, **fields}, holes)


def _fills_command(fields: Fields) -> bool:
    """Whether a field says what a container starts."""
    return any(fields.get(key) for key in (*_COMMAND_KEYS, *_ARGUMENT_KEYS))


def _from_cloud(task: Task, fields: Fields, holes: Holes) -> list[Call]:
    named = holes.restore(str(fields.get("job_id") or fields.get("job_name") or "?"))
    if other := why_another(fields):
        why = f"dbt Cloud job {named} runs with {holes.restore(other)}, and a mirror does not"
        return [Call(hidden=why)]
    steps = steps_of(fields, job_of(fields, task.team.jobs))
    if steps is None:
        why = f"dbt Cloud job {named}: what it runs is known to dbt Cloud alone"
        where = "its API's answer to GET /api/v2/accounts/ACCOUNT/jobs/"
        return [
            Call(
                hidden=f"{why}. Save {where} and name the file in {FILE}: dbt_cloud_jobs: dbt_cloud_jobs.json"
            )
        ]
    script = " && ".join(steps)
    return _calls_in_script(read_script(script, holes), script, skips=False)


def _has_command(fields: Fields, holes: Holes) -> bool:
    """Whether a container of the task is given a command that can be read as words."""
    return any(
        _word_list(container[key], holes)
        for container in _containers(fields)
        for key in _COMMAND_KEYS
        if container.get(key)
    )


def _from_shell(task: Task, text: Any, env: Mapping[str, str], holes: Holes) -> list[Call]:
    if not isinstance(text, str):
        return [Call(hidden="the command is known only while the task runs")] if text else []
    skips = task.settings.get("skip_on_exit_code", 99)
    codes = skips if isinstance(skips, list | tuple) else [skips]
    reading = read_script(text, holes, env=env, cwd=str(task.settings.get("cwd") or ""))
    return _calls_in_script(reading, text, skips=99 in codes)


def _calls_in_script(reading: ShellReading, text: str, *, skips: bool) -> list[Call]:
    """The calls of a script; `skips`: whether its exit code 99 skips the task."""
    calls = [
        Call(
            call.program.arguments,
            call.env,
            call.key in reading.masked or (skips and call.key in reading.skipping),
            skips and call.key in reading.skipping,
            call.key in reading.conditional,
            call.program.reason if call.program.kind is ProgramKind.OPAQUE else "",
            cwd=call.cwd,
        )
        for call in reading.calls
    ]
    if reading.unreadable:
        why = "a part of the shell text cannot be read, or is too long to be followed"
        calls.append(Call(hidden=why if "dbt" in text else f"{MAY_RUN}{why}"))
    placed = {side.said for side in reading.sides}
    sides = [
        Call(beside=side.said if side.said in reading.unseen else "", side=side) for side in reading.sides
    ]
    return [*calls, *sides, *(Call(beside=program) for program in reading.unseen if program not in placed)]


def _calls_of_program(words: Sequence[str], env: Mapping[str, str], holes: Holes) -> list[Call]:
    """The calls of a program that is started without a shell."""
    program = what_runs(words, holes)
    if program.kind is ProgramKind.SHELL and (script := shell_script(program.arguments)) is not None:
        reading = read_script(
            script.text,
            holes,
            env={**env, **program.env},
            options=script.options,
            arguments=script.arguments,
        )
        return _calls_in_script(reading, script.text, skips=False)
    if program.kind is ProgramKind.DBT:
        return [Call(program.arguments, {**env, **program.env})]
    if program.kind is ProgramKind.UNSEEN:
        return [Call(beside=program.reason)]
    return [Call(hidden=program.reason)] if program.kind is ProgramKind.OPAQUE else []


def _from_containers(task: Task, fields: Fields, holes: Holes) -> Iterator[Call]:
    any_call = started = False
    image = str(fields.get("image") or task.settings.get("image") or "")
    # As the DAG file has it: parity.yaml may name a template whose value is not in the inventory.
    written = str(task.templated.get("image") or "") or image
    for container in _containers({**task.settings, **fields}):
        env = _environment(container, holes) or _environment(fields, holes)
        words: list[str] = []
        for key in (*_COMMAND_KEYS, *_ARGUMENT_KEYS):
            part = container.get(key)
            if part is None:
                continue
            listed = _word_list(part, holes)
            if listed is None:
                yield Call(hidden=f"`{key}` is known only while the task runs")
                any_call, words = True, []
                break
            words += listed
        if not words:
            continue
        own = str(container.get("image") or "")
        here = written if own in ("", image) else own
        if words[0] in DBT_COMMANDS or (words[0].startswith("--") and set(words) & DBT_COMMANDS):
            any_call = True
            if entrypoint := task.team.entrypoint_of(here):
                yield from _calls_of_program((*entrypoint, *words), env, holes)
            else:
                yield Call(hidden=_image_decides(words, here, holes))
            continue
        calls = _calls_of_program(words, env, holes)
        any_call, started = any_call or bool(calls), True
        yield from calls
    if not any_call and any(map(names_dbt, task.classes)):
        yield Call(hidden=f"operator {task.classes[0]} is not known here")
    elif not (any_call or started):
        yield from _without_command(task, written, fields, holes)


def _without_command(task: Task, image: str, fields: Fields, holes: Holes) -> Iterator[Call]:
    """A container for which its image alone says what it starts."""
    if entrypoint := task.team.images.get(untagged(image)):
        yield from _calls_of_program(shlex.split(entrypoint), _environment(fields, holes), holes)
    elif named := _names_dbt({**task.settings, **task.templated}):
        why = f"it has no command, and what {named} starts cannot be seen"
        said = f". If it is dbt, say so in {FILE}: images: {{{_in_yaml(untagged(image))}: dbt build}}"
        yield Call(hidden=why + said if image and named.endswith(image) else why)


def _image_decides(words: Sequence[str], image: str, holes: Holes) -> str:
    why = f"the image decides what `{holes.restore(' '.join(words))}` starts: no command is given, only its arguments"
    name = untagged(image)
    known = name and not holes.in_text(name)
    return f"{why}. If it is dbt, say so in {FILE}: images: {{{_in_yaml(name)}: dbt}}" if known else why


def _in_yaml(name: str) -> str:
    return json.dumps(name) if "{" in name else name


_IMAGE_KEYS = ("image", "task_definition", "pod_template_file", "job_name", "name", "function_name", "job_id")


def _names_dbt(fields: Fields) -> str:
    """The source of a container without a command, if its name refers to dbt."""
    for key in _IMAGE_KEYS:
        value = fields.get(key)
        if isinstance(value, str) and names_dbt(value):
            return f"{key} {value}"
    return ""


def _containers(fields: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping that says what a container starts, however deeply nested in overrides and pod specs."""
    if isinstance(fields, dict):
        if any(key in fields for key in (*_COMMAND_KEYS, *_ARGUMENT_KEYS)):
            yield fields
        for key, value in fields.items():
            if key in _CONTAINER_KEYS or key in ("spec", "template", "pod_template_dict", "full_pod_spec"):
                yield from _containers(value)
    elif isinstance(fields, list):
        for item in fields:
            yield from _containers(item)


def _word_list(part: Any, holes: Holes) -> list[str] | None:
    """The words of a list, or of a text: JSON, or split at blanks as container engines do. None if it is neither."""
    if isinstance(part, list | tuple):
        return [str(word) for word in part] if all(isinstance(w, str | int | float) for w in part) else None
    if not isinstance(part, str):
        return None
    if part.lstrip().startswith("["):
        try:
            listed = json.loads(part)
        except ValueError:
            return None
        return [str(word) for word in listed]
    try:
        return shlex.split(part)
    except ValueError:
        return None


def _environment(fields: Fields, holes: Holes) -> dict[str, str]:
    """The environment, given as a mapping, a list of `{name, value}`, or a list of `NAME=value`."""
    env: dict[str, str] = {}
    for key in _ENV_KEYS:
        given = fields.get(key)
        if isinstance(given, dict) and "__expand__" not in given:
            env.update({str(name): str(value) for name, value in given.items() if name != "__class__"})
        for item in given if isinstance(given, list) else ():
            if isinstance(item, dict) and "name" in item and item.get("value") is not None:
                env[str(item["name"])] = str(item["value"])
            elif isinstance(item, str) and "=" in item:
                name, _, value = item.partition("=")
                env[name] = value
    return env


def _from_python(task: Task, fields: Fields, holes: Holes) -> list[Call]:
    if task.source is None:
        hides = "dbt" in task.callable_name.lower()
        return [Call(hidden=f"the source of {task.callable_name} is not in the inventory")] if hides else []
    given, args = fields.get("op_kwargs"), fields.get("op_args")
    named = {**prepared(task.named, holes, rendered=True), **(given if isinstance(given, dict) else {})}
    placed = [*prepared(task.placed, holes, rendered=True), *(args if isinstance(args, list) else [])]
    visible = calls_in(task.source, named, holes, placed=placed)
    if any("BashDecorated" in path for path in task.classes):
        env = _environment(fields, holes)
        scripts = [
            replace(call, conditional=call.conditional or script.conditional)
            for script in visible.returned
            for call in _from_shell(task, script.text, env, holes)
        ]
        return scripts or ([Call(hidden=_unseen(task))] if visible.hidden else [])
    calls = [each for call in visible.calls for each in _started_in_python(call, holes)]
    followed = task.called_code and follow_function(
        task.called_code, task.callable_name, placed, named, holes
    )
    if followed and followed.calls and (not followed.reasons or len(followed.calls) > len(visible.calls)):
        started = (call for call in followed.calls if not isinstance(call, Delegated))
        calls = [each for call in started for each in _started_in_python(call, holes)]
        return [*calls, *(Call(hidden=f"{task.callable_name}: {why}") for why in followed.reasons)]
    if visible.hidden and not any(call.words or call.hidden for call in calls):
        calls.append(Call(hidden=_unseen(task)))
    return calls


def _started_in_python(call: PythonCall | Invoked, holes: Holes) -> list[Call]:
    if isinstance(call, Invoked):
        return [Call(call.words, {}, not call.raises, conditional=call.conditional)]
    if call.script is not None:
        reading = read_script(call.script, holes, env=call.env)
        started = _calls_in_script(reading, call.script, skips=False)
    else:
        started = _calls_of_program(call.words, call.env, holes)
    return [
        replace(
            each,
            masked=each.masked or not call.raises,
            skips=False,
            conditional=each.conditional or call.conditional,
            beside=each.beside or (each.side.said if each.side else ""),
            side=None,
        )
        for each in started
    ]


def _from_own_operator(
    task: Task, code: OperatorCode, fields: Fields, holes: Holes
) -> tuple[list[Call], bool] | None:
    """What the operator's own `execute` starts, and whether that is all; None if it has none of its own.

    What a library's `execute` does with a field says nothing here: that is for the operator's own to decide. Other
    fields, such as a container's, mean what they are called: None also where nothing is seen to start for those.
    """
    attributes = {name: prepared(value, holes, rendered=True) for name, value in code.attributes.items()}
    followed = follow_operator(code, task.classes, {**attributes, **fields}, holes)
    if followed is None:
        return None
    calls: list[Call] = []
    for call in followed.calls:
        if isinstance(call, Delegated):
            started, _ = _calls_of(replace(task, own_code=None), {**fields, **call.fields}, holes)
            calls += [
                replace(
                    each,
                    masked=each.masked or not call.raises,
                    conditional=each.conditional or call.conditional,
                )
                for each in started
            ]
        else:
            calls += _started_in_python(call, holes)
    named = task.classes[0].rpartition(".")[2]
    if not calls and not _is_run_by_library(task, fields):
        return None
    if calls or "dbt" in str({**attributes, **fields}):
        calls += [Call(hidden=f"{named}: {why}") for why in followed.reasons]
    return calls, not followed.reasons and not any(call.hidden for call in calls)


def _is_run_by_library(task: Task, fields: Fields) -> bool:
    """Whether the operator's library classes would run one of its fields, if they were asked to."""
    shell = "bash_command" in fields or any(path.endswith("SSHOperator") for path in task.classes)
    return shell or command_of(task.classes) is not None


def _unseen(task: Task) -> str:
    return f"{task.callable_name or 'the callable'} speaks of dbt, but its source does not show what it runs"


def _from_fields(command: str, task: Task, fields: Fields, holes: Holes) -> list[Call]:
    every = {**task.settings, **fields}
    named = task.given or ()
    if unsaid := unsaid_field(command, every, named):
        return [Call(hidden=f"the inventory does not say what its `{unsaid}` is: export it again")]
    return [Call(words_of(command, every, named, holes), _environment(fields, holes))]


def prepared(value: Any, holes: Holes, *, rendered: bool) -> Any:
    """Fields with holes in their texts: the exporter's marks, and the templates in raw fields."""
    if isinstance(value, str):
        return holes.mask_marks(value if rendered else holes.mask_template(value))
    if isinstance(value, dict):
        if "__xcom__" in value:
            return holes.dig(f"{{{{ ti.xcom_pull({value['__xcom__']!r}) }}}}", HoleKind.TEMPLATE)
        if "__expand__" in value and not isinstance(value["__expand__"], list):
            return holes.dig("what expand() gives", HoleKind.PYTHON)
        return {key: prepared(item, holes, rendered=rendered) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [prepared(item, holes, rendered=rendered) for item in value]
    return value
