"""One variable in a mirror's YAML: a value, or a template with options."""

from collections.abc import Mapping
from typing import Annotated, Any

import dagster as dg

from dagster_defs.errors import BadUnit
from dagster_defs.windows import Bound, VariableTemplate
from dagster_defs.windows.values import typed

_OPTIONS = frozenset({"template", "bound", "yaml"})  # keys of a variable that is not a plain value


Templates = Annotated[
    Mapping[str, Any],
    dg.Resolver.passthrough(
        description=(
            "Values by name; text, also inside lists and mappings, is an Airflow template exactly as in the DAG. "
            "Either a plain value, or `{template, bound, yaml}`: `bound: lower | upper` says which end of the window "
            "it is, so that one run can cover many windows; `yaml: true` says that the rendered text is parsed as "
            "YAML, as dbt does with unquoted values in `--vars`."
        ),
        examples=[
            {
                "min_date": {"template": "{{ data_interval_start | ds }}", "bound": "lower"},
                "regions": ["north", "{{ params.region }}"],
                "top": 5,
            }
        ],
    ),
]


def variable_of(unit: str, where: str, name: Any, declared: Any) -> VariableTemplate:
    """`where`: the place in the YAML, for messages. Raises BadUnit, which names the variable.

    A mapping with `template` is a template with options; any other mapping is the variable's value.
    """

    def refused(reason: str) -> BadUnit:
        return BadUnit(unit, f"`{where}`: variable {name} {reason}", "Correct it in its YAML")

    if not isinstance(name, str):
        raise refused(f"has a name that is {typed(name)}: put it in quotes")
    if not isinstance(declared, Mapping) or _OPTIONS.isdisjoint(declared):
        return VariableTemplate(name, declared)
    if "template" not in declared or not declared.keys() <= _OPTIONS:
        reason = (
            f"has {', '.join(map(str, declared))}: next to `template`, only `bound` and `yaml` are allowed. If the "
            "mapping itself is the value, write it as text: {template: '{template: …}', yaml: true}"
        )
        raise refused(reason)
    bound, as_yaml = declared.get("bound", "none"), declared.get("yaml", False)
    if bound not in [each.value for each in Bound]:
        raise refused(f"has `bound: {bound}`, but a bound is lower, upper or none")
    if not isinstance(as_yaml, bool):
        raise refused(f"has `yaml: {as_yaml}`, but it must be true or false")
    return VariableTemplate(name, declared["template"], Bound(bound), as_yaml)
