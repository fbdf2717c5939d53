"""Dagster's half says which of the two is too old; `tests/legacy_dags/handover/test_proxy.py` has Airflow's."""

from __future__ import annotations

import pytest

from dagster_defs.lifecycle.versions import why_apart


@pytest.mark.parametrize(
    ("airflows", "remedy"),
    [
        ("0.4.0", ""),
        ("0.4.7", ""),
        ("0.3.9", "update airflow-parity-handover in Airflow"),
        (None, "update airflow-parity-handover in Airflow"),
        ("not one", "update airflow-parity-handover in Airflow"),
        ("0.10.0", "update airflow-parity here, where Dagster runs"),
        ("1.0.0", "update airflow-parity here, where Dagster runs"),
    ],
)
def test_the_older_half_is_to_be_updated(airflows: str | None, remedy: str) -> None:
    """Patches may differ: what travels between the halves changes with a minor version only."""
    assert why_apart("0.4.2", airflows).rpartition(": ")[2] == remedy


def test_what_does_not_know_itself_blames_nobody() -> None:
    """Code on the path without a distribution does not know its own version."""
    assert why_apart(None, "0.1.0") == ""
