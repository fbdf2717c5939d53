"""What a task that runs, or its trigger, learns about itself from Airflow: `facts2.py` or `facts3.py`, whose names are
the same, by the version of Airflow that is installed."""

from __future__ import annotations

from airflow import __version__

IS_AIRFLOW_3 = int(__version__.partition(".")[0]) >= 3

if IS_AIRFLOW_3:
    from handover import facts3 as facts
else:
    from handover import facts2 as facts

__all__ = ["IS_AIRFLOW_3", "facts"]
