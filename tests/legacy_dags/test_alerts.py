"""What happens when a task fails for good."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from include.alerts import report_failure


def test_a_failure_is_one_line_with_all_that_is_needed(caplog: pytest.LogCaptureFixture) -> None:
    """The line names the unit, its window, the reason and where the log is."""
    instance = SimpleNamespace(dag_id="taxi_daily", task_id="dbt_daily", log_url="http://127.0.0.1/log")

    report_failure(
        {
            "task_instance": instance,
            "data_interval_start": "2024-03-10",
            "data_interval_end": "2024-03-11",
            "exception": ValueError("Bash command failed"),
        }
    )

    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        "taxi estate: taxi_daily.dbt_daily failed for [2024-03-10, 2024-03-11): Bash command failed, "
        "log: http://127.0.0.1/log"
    )


def test_a_failure_without_a_context_is_reported_too(caplog: pytest.LogCaptureFixture) -> None:
    """The callback never raises: that would hide the real failure."""
    report_failure({})

    assert "failed for" in caplog.text
