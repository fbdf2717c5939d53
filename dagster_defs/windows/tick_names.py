"""The names that a template of a DAG of ticks may use: those of Airflow 3, whose default a tick is.

They are computed as in `RuntimeTaskInstance.get_template_context` of 3.3.2. Start and end of the data interval and the
logical date are all the tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dagster_defs.windows.vocabulary import OF_RUNS_BESIDE, RECORDS, WINDOW_NAMES, Value

__all__ = ["TICK_NAMES", "TICK_REASONS", "TICK_RECORDS"]

_GONE = frozenset(
    {
        *OF_RUNS_BESIDE,
        "execution_date",
        "yesterday_ds",
        "yesterday_ds_nodash",
        "tomorrow_ds",
        "tomorrow_ds_nodash",
    }
)
# What prints otherwise in Airflow 3 than in Airflow 2, or is gone.
_GONE_OF_A_RUN = frozenset({"run_type", "external_trigger", "execution_date"})
_WHY = (
    "Airflow 3, whose runs are about ticks, has no such name or prints it otherwise: say it with logical_date"
)

TICK_NAMES: Mapping[str, Value] = MappingProxyType(
    {name: value for name, value in WINDOW_NAMES.items() if name not in _GONE}
)
TICK_RECORDS: Mapping[str, Mapping[str, Value]] = MappingProxyType(
    {
        **RECORDS,
        "dag_run": {name: value for name, value in RECORDS["dag_run"].items() if name not in _GONE_OF_A_RUN},
    }
)
# Why a name that a template of a run with a window may use is missing here.
TICK_REASONS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys((*_GONE, *(f"dag_run.{name}" for name in _GONE_OF_A_RUN)), _WHY)
)
