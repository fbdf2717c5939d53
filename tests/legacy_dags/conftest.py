"""An estate of its own for each test: empty folders, no settings from outside."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

LEGACY_DAGS = Path(__file__).resolve().parents[2] / "legacy_dags"

# Airflow puts its DAGS_FOLDER on the path; the estate's code is imported from there.
if str(LEGACY_DAGS) not in sys.path:
    sys.path.insert(0, str(LEGACY_DAGS))

MONTH = "2024-03"


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`TAXI_DATA_DIR`, still empty; all other settings have their defaults."""
    for name in [name for name in os.environ if name.startswith("TAXI_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "data"
    monkeypatch.setenv("TAXI_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def landing_dir(data_dir: Path) -> Path:
    """A landing folder with the zone table and a small March 2024."""
    from include import landing
    from include.files import write_parquet

    folder = data_dir / "landing"
    landing.generate(folder, [])
    write_parquet(landing.trips(MONTH, count=2_000), folder / landing.trips_file(MONTH))
    return folder
