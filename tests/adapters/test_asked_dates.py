"""Files that list what sensors ask about."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from dagster_defs.adapters.files.asked_dates import read_asked, write_asked
from dagster_defs.errors import BadWindowList

FOURTH, FIFTH = (datetime(2024, 3, day, 6, tzinfo=timezone.utc) for day in (4, 5))
ASKED = {"wait": {FOURTH.isoformat(): ["2024-03-03T00:00:00+00:00"]}}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """And writing the same again changes nothing."""
    path = tmp_path / "waits.json"

    assert write_asked(path, ASKED)
    assert read_asked(path, "wait") == {FOURTH: (datetime(2024, 3, 3, tzinfo=timezone.utc),)}
    assert not write_asked(path, ASKED)


def test_a_later_export_adds_windows(tmp_path: Path) -> None:
    """What an earlier one has listed of the same sensor stays; a sensor that is gone is left out."""
    path = tmp_path / "waits.json"
    write_asked(path, {**ASKED, "gone": {}})

    assert write_asked(path, {"wait": {FIFTH.isoformat(): []}})
    assert sorted(read_asked(path, "wait")) == [FOURTH, FIFTH]
    assert json.loads(path.read_text()).keys() == {"wait"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("[]", "not a list of what sensors ask about"),
        ('{"wait": {"yesterday": []}}', "not a list of what sensors ask about"),
        ("{}", "nothing about wait: run parity scaffold again"),
    ],
)
def test_a_file_that_does_not_say_it_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    """Nobody guesses what the sensor asks about."""
    path = tmp_path / "waits.json"
    if text is not None:
        path.write_text(text)

    with pytest.raises(BadWindowList) as refused:
        read_asked(path, "wait")
    assert said in str(refused.value)
    assert str(path) in str(refused.value)
