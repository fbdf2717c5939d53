"""Where the estate's files are and which days it runs."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from include import settings
from include.errors import BadMonth, BadSetting


def test_each_side_has_its_own_files(data_dir: Path) -> None:
    """No file is written by both orchestrators."""
    legacy, candidate = settings.side("legacy"), settings.side("candidate")

    assert legacy.database == data_dir / "legacy" / "legacy.duckdb"
    assert candidate.database == data_dir / "candidate" / "candidate.duckdb"
    assert not {legacy.raw, legacy.export, legacy.dbt_target_path} & {
        candidate.raw,
        candidate.export,
        candidate.dbt_target_path,
    }


def test_the_calendar_has_both_clock_changes(data_dir: Path) -> None:
    """By default the estate's days reach over the fall-back and the spring-forward day."""
    assert settings.first_day() < date(2023, 11, 5)
    assert settings.last_day() > date(2024, 3, 10)


@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize(
    ("first", "last", "blamed"),
    [
        ("10.03.2024", "2024-03-12", "TAXI_FIRST_DAY"),
        ("2024-03-10", "2024-02-30", "TAXI_LAST_DAY"),
        ("2024-03-10", "2024-03-09", "TAXI_LAST_DAY"),
    ],
)
def test_a_calendar_that_cannot_be_is_refused(
    monkeypatch: pytest.MonkeyPatch, first: str, last: str, blamed: str
) -> None:
    """The error names the variable and its value."""
    monkeypatch.setenv("TAXI_FIRST_DAY", first)
    monkeypatch.setenv("TAXI_LAST_DAY", last)

    with pytest.raises(BadSetting, match=blamed) as caught:
        settings.last_day()

    assert caught.value.value in (first, last)


@pytest.mark.usefixtures("data_dir")
def test_a_side_that_does_not_exist_is_refused() -> None:
    """A typing error in a side never makes a third set of files."""
    with pytest.raises(BadSetting, match="legacy or candidate"):
        settings.side("legcay")


@pytest.mark.parametrize("month", ["2024-13", "2024-3", "202403", "March", "", "2024-03-01"])
def test_a_month_is_written_in_one_way(month: str) -> None:
    """Anything but YYYY-MM is refused, so a month never has two files."""
    with pytest.raises(BadMonth):
        settings.parse_month(month)


def test_dbt_is_found_where_the_environment_says(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`TAXI_DBT_BIN_DIR` comes first on PATH, and PATH stays out of it when it is not set."""
    assert "PATH" not in settings.dbt_env()

    monkeypatch.setenv("TAXI_DBT_BIN_DIR", str(data_dir / "bin"))
    monkeypatch.setenv("PATH", "/somewhere")

    assert settings.dbt_env()["PATH"] == f"{data_dir / 'bin'}:/somewhere"
