"""The exporter asks zones for their clock changes, whatever library made them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from tests.support.own_operators import exporter


class Unhashable(ZoneInfo):
    """As the zones of pendulum 3.1.0 are."""

    __hash__ = None  # type: ignore[assignment]  # on purpose


def test_a_zone_that_cannot_be_hashed_has_its_changes() -> None:
    """The changes are kept for the next DAG; a zone that cannot be a key is no reason to leave a DAG out."""
    changes = exporter().changes
    year = datetime(2024, 1, 1, tzinfo=timezone.utc), datetime(2025, 1, 1, tzinfo=timezone.utc)
    unhashable, other = Unhashable("America/New_York"), Unhashable("Asia/Tokyo")

    assert changes(unhashable, *year) == [
        (datetime(2024, 3, 10, 7, tzinfo=timezone.utc), timedelta(hours=1)),
        (datetime(2024, 11, 3, 6, tzinfo=timezone.utc), timedelta(hours=-1)),
    ]
    assert changes(other, *year) == []
    assert changes(unhashable, *year) is changes(unhashable, *year)
