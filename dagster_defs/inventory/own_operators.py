"""dbt calls of a team's own operator, as far as the source of its `execute` shows them.

`execute` is walked as a Python callable is, with `self.<field>` bound to the task's own values: templated fields as
Airflow rendered them, others as the DAG file has set them. Methods, properties, `super()`, and the team's own classes
and functions are followed. Whatever decides what runs and is not shown leaves a reason; nothing is guessed.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_defs.inventory.document import OperatorCode
from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.method_walk import MethodWalk
from dagster_defs.inventory.own_code import (
    CodePath,
    Instance,
    Method,
    Started,
    World,
    lookup,
    tree_of,
    unusual,
)

_BEFORE_EXECUTE = ("pre_execute", "render_template_fields")


@dataclass(frozen=True, slots=True)
class Followed:
    """What `execute` starts, in order, and why that may not be all of it."""

    calls: tuple[Started, ...] = ()
    reasons: tuple[str, ...] = ()


def follow_operator(
    code: OperatorCode, classes: Sequence[str], fields: Mapping[str, Any], holes: Holes
) -> Followed | None:
    """`classes`: the operator and its bases, nearest first. `fields`: the task's values, whose texts may have holes.

    None if its `execute` is a library's: there is nothing to follow, and its fields say what it does.
    """
    world = World(code, holes, dict(fields))
    operator = Instance(tuple(classes), dict(fields))
    world.instances.append(operator)
    found = lookup(world, operator, "execute")
    if isinstance(found, CodePath):
        return None
    if not isinstance(found, Method) or found.node.decorator_list:
        return Followed(reasons=("its execute is not shown",))
    for name in _BEFORE_EXECUTE:
        if isinstance(lookup(world, operator, name), Method):
            world.reasons.append(f"its {name} may change what its execute does")
    for name in unusual(world, operator):
        world.reasons.append(f"it has {name}, which Python calls by itself")
    walk = MethodWalk(world, found.node, found.owner, {"self": operator}, (), operator)
    walk.statements(found.node.body, conditional=False)
    return _followed(world)


def follow_function(
    code: OperatorCode, path: str, placed: Sequence[Any], named: Mapping[str, Any], holes: Holes
) -> Followed | None:
    """What a PythonOperator's callable starts, also in what it calls of the team's own. `placed` and `named`: the
    arguments that it is given; the rest of them are Airflow's context. None if its source is not shown."""
    definition = code.definitions.get(path)
    node = tree_of(definition.source) if definition else None
    if not isinstance(node, ast.FunctionDef):
        return None
    world = World(code, holes, {})
    world.instances.append(Instance(()))  # there is no operator
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    walk = MethodWalk(world, node, path, {**dict(zip(names, placed, strict=False)), **named}, ())
    walk.statements(node.body, conditional=False)
    return _followed(world)


def _followed(world: World) -> Followed:
    if world.forgiven and world.raised:
        world.reasons.append("a failure that it catches may still fail the task, which is not shown")
    return Followed(tuple(world.calls), tuple(dict.fromkeys(world.reasons)))
