"""What happens when a task fails for good."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)


def report_failure(context: Mapping[str, Any]) -> None:
    """Airflow's `on_failure_callback`: one line that can be searched for and says where to look.

    A team would send this line to its pager. It never raises: that would hide the real failure.
    """
    instance = context.get("task_instance")
    log.error(
        "taxi estate: %s.%s failed for [%s, %s): %s, log: %s",
        getattr(instance, "dag_id", "?"),
        getattr(instance, "task_id", "?"),
        context.get("data_interval_start"),
        context.get("data_interval_end"),
        context.get("exception"),
        getattr(instance, "log_url", "?"),
    )
