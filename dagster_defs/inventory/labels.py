"""Texts that distinguish one run from another, but say nothing about its window."""

from __future__ import annotations

import re

import jinja2
from jinja2 import nodes

from dagster_defs.errors import ParityError
from dagster_defs.windows.budget import parse
from dagster_defs.windows.vocabulary import WINDOW_NAMES

# What Airflow knows about a run or a try from which no model can read a period of time. `run_id` contains a date, but
# Airflow makes no promise about it.
_NAMES = frozenset({"run_id", "task_instance_key_str"})
_OWN = {"dag_id", "task_id", "run_id", "map_index", "owner"}
_OF_TRY = {"try_number", "max_tries", "hostname", "job_id", "pid", "log_url", "operator", "queue", "pool"}
_ATTRIBUTES = {
    **dict.fromkeys(("ti", "task_instance"), frozenset(_OWN | _OF_TRY)),
    **dict.fromkeys(("dag", "task"), frozenset(_OWN)),
    "dag_run": frozenset(_OWN | {"run_type", "external_trigger"}),
}
# They name a run, or lead to everything that is known about it.
LABELS = _NAMES | {"ti", "task_instance", "dag_run"}
_PLAIN = (nodes.Const, nodes.TemplateData, nodes.Output, nodes.Template, nodes.Concat, nodes.Add)


def window_names_in(text: str) -> set[str]:
    """The words of a template that refer to a window or a run."""
    return {*re.findall(r"[A-Za-z_]\w*", text)} & {*WINDOW_NAMES, *LABELS}


def labels_a_run(text: str) -> bool:
    """Whether everything rendered in a template text is the name of a run, a task or a try."""
    if "{{" not in text:
        return False
    try:
        tree = parse(jinja2.Environment(autoescape=True), text)
    except (jinja2.TemplateSyntaxError, ParityError):
        return False
    return _is_label(tree) and any(tree.find_all(nodes.Name))


def _is_label(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Name):
        return node.name in _NAMES
    if isinstance(node, nodes.Getattr):
        return isinstance(node.node, nodes.Name) and node.attr in _ATTRIBUTES.get(node.node.name, ())
    return isinstance(node, _PLAIN) and all(map(_is_label, node.iter_child_nodes()))
