"""Texts that distinguish one run from another, but say nothing about its window."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace

import jinja2
from jinja2 import nodes

from dagster_defs.errors import ParityError
from dagster_defs.windows import compile_template
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


def names_a_run(text: str) -> bool:
    """Whether it is a label that no window determines, unlike `{{ dag.dag_id }}`."""
    if not labels_a_run(text):
        return False
    try:
        compile_template(text)
    except ParityError:
        return True
    return False


@dataclass(frozen=True, slots=True)
class RunNames:
    """What labels say about a run of Dagster's; `try_number` counts from 1."""

    unit: str
    run_id: str
    try_number: int

    def render(self, label: str) -> str:
        """Attributes that only Airflow has, such as `hostname`, are empty."""
        dag_id, _, task_id = self.unit.partition(".")
        own = {
            **dict.fromkeys(_OWN | _OF_TRY, ""),
            "dag_id": dag_id,
            "task_id": task_id,
            "run_id": self.run_id,
        }
        ti = SimpleNamespace(**own | {"map_index": -1, "try_number": self.try_number})
        dag_run = SimpleNamespace(**own | {"run_type": "dagster", "external_trigger": False})
        key = f"{dag_id}__{task_id}__{self.run_id}"
        # A label holds nothing but names, attributes and text: there is no expression to be kept in a sandbox.
        template = jinja2.Environment(autoescape=False).from_string(label)  # noqa: S701 - it is no HTML
        return template.render(
            ti=ti,
            task_instance=ti,
            dag=ti,
            task=ti,
            dag_run=dag_run,
            run_id=self.run_id,
            task_instance_key_str=key,
        )


def _is_label(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Name):
        return node.name in _NAMES
    if isinstance(node, nodes.Getattr):
        return isinstance(node.node, nodes.Name) and node.attr in _ATTRIBUTES.get(node.node.name, ())
    return isinstance(node, _PLAIN) and all(map(_is_label, node.iter_child_nodes()))
