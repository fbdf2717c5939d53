"""Both halves of the package say which of them is too old."""

from __future__ import annotations

import pytest
from pytest_mock import MockerFixture

from dagster_defs.components import versions


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
def test_the_older_half_is_to_be_updated(mocker: MockerFixture, airflows: str | None, remedy: str) -> None:
    """Patches may differ: what travels between the halves changes with a minor version only."""
    mocker.patch.object(versions, "own_version", return_value="0.4.2")
    assert versions.why_apart(airflows).rpartition(": ")[2] == remedy


def test_what_is_not_installed_blames_nobody(mocker: MockerFixture) -> None:
    """Code on the path without a distribution does not know its own version."""
    mocker.patch.object(versions, "own_version", return_value=None)
    assert versions.why_apart("0.1.0") == ""
