"""What a task sets in dbt's environment, beside what its mirror and Dagster have."""

from __future__ import annotations

from collections.abc import Mapping

from dagster_defs.inventory.arguments import Kind, compared_variables, harmless_variables
from dagster_defs.inventory.holes import is_known
from dagster_defs.inventory.masking import shown
from dagster_defs.inventory.records import UnitReading
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.lifecycle.mirrors import Declared


def environment_facet(
    reading: UnitReading | None, dagsters: Mapping[str, str], declared: Declared | None = None
) -> Facet:
    """The environment variables that the task sets for dbt, compared with Dagster's, as far as those are available.
    Those that the mirror sets itself are compared with the variables, window by window.

    This leaves out variables that say where dbt is, dbt options that other facets compare or that change nothing in the
    tables, and variables that carry the window, which count as a difference of `variables`. A variable that Dagster
    does not have, or has with another value, is undetermined: the inventory does not show whether anything reads it.
    """
    if reading and Kind.OPAQUE in reading.kinds:
        return Facet("environment", Agreement.UNDETERMINED, "?", "none", reading.reason, 0)
    calls = reading.invocations if reading else ()
    given = {
        name: call.rendered[0].env.get(name, call.env[name]) if call.rendered else call.env[name]
        for call in calls
        for name in call.constant_env
        if name not in compared_variables() | harmless_variables()
    }
    mirrors = declared.environment.names if declared and declared.environment else ()
    labels = declared.labels if declared else ()
    given = {name: value for name, value in given.items() if name not in labels}
    own = {**dagsters, **{name: given[name] for name in mirrors if name in given}}
    in_airflow = ", ".join(f"{name}={shown(name, given[name])}" for name in sorted(given)) or "none"
    mine = ", ".join(f"{name}={shown(name, own[name])}" for name in sorted(given) if name in own) or "none"
    missing = sorted(name for name in given if name not in own)
    unknown = sorted(
        name for name in given if name in own and (_is_unknown(given[name]) or not is_known(name))
    )
    others = sorted(name for name in given.keys() & own.keys() - set(unknown) if own[name] != given[name])
    if not (missing or unknown or others):
        detail = f"{', '.join(labels)} names the run, and so is Dagster's own" if labels else ""
        return Facet("environment", Agreement.AGREES, in_airflow, mine, detail, len(given) or 1)
    parts = [f"the task sets {', '.join(missing)}, and the mirror does not"] if missing else []
    parts += [f"{', '.join(others)} has a different value in the task"] if others else []
    parts += [f"the task's value of {', '.join(unknown)} is not in the inventory"] if unknown else []
    detail = (
        f"{'; '.join(parts)}. Set the same for Dagster, or check that nothing in the project depends on it and accept "
        "it in the unit's YAML: gates: {undetermined: [environment]}"
    )
    return Facet("environment", Agreement.UNDETERMINED, in_airflow, mine, detail, len(given))


def _is_unknown(value: str) -> bool:
    """Whether Airflow masks the value, or knows it only while the task runs."""
    return not is_known(value) or any(mark in value for mark in ("{{", "$"))
