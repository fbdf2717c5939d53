"""A zone table in the shape of TLC's: 265 zones, as many in each borough, the two odd ones at the end.

The names of the big places are the real ones; the rest are numbered: enough to join and to group by.
"""

from __future__ import annotations

from dataclasses import dataclass

JFK, LAGUARDIA = 132, 138
UNKNOWN, OUTSIDE = 264, 265

# How many zones TLC draws in each borough; airports and the two odd ones come on top.
_BOROUGHS = {"Queens": 67, "Manhattan": 69, "Brooklyn": 61, "Bronx": 43, "Staten Island": 20}
# How often a pickup is in a zone of that borough: yellow cabs live on Manhattan.
_PICKUP_WEIGHT = {"Manhattan": 130, "Queens": 6, "Brooklyn": 5, "Bronx": 2, "Staten Island": 1, "EWR": 1}
_MANHATTAN_NAMES = (
    "Alphabet City", "Battery Park", "Central Harlem", "Central Park", "Chinatown", "Clinton East",
    "East Chelsea", "East Harlem North", "East Village", "Financial District North", "Flatiron",
    "Garment District", "Gramercy", "Greenwich Village North", "Hudson Sq", "Inwood", "Kips Bay",
    "Lenox Hill West", "Lincoln Square East", "Little Italy/NoLiTa", "Lower East Side",
    "Meatpacking/West Village West", "Midtown Center", "Midtown East",
    "Murray Hill", "Penn Station/Madison Sq West", "SoHo", "Times Sq/Theatre District",
    "Upper East Side North", "Upper East Side South", "Upper West Side North", "World Trade Center",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Zone:
    location_id: int
    borough: str
    zone: str
    service_zone: str

    @property
    def pickup_weight(self) -> int:
        """How many of all pickups start here, relative to the other zones."""
        if self.location_id in (JFK, LAGUARDIA):
            return 400
        if self.location_id in (UNKNOWN, OUTSIDE):
            return 60
        return _PICKUP_WEIGHT[self.borough]


_SPECIAL = {
    zone.location_id: zone
    for zone in (
        Zone(1, "EWR", "Newark Airport", "EWR"),
        Zone(JFK, "Queens", "JFK Airport", "Airports"),
        Zone(LAGUARDIA, "Queens", "LaGuardia Airport", "Airports"),
        Zone(UNKNOWN, "Unknown", "N/A", "N/A"),
        Zone(OUTSIDE, "N/A", "Outside of NYC", "N/A"),
    )
}


def zones() -> tuple[Zone, ...]:
    """All 265, in the order of their ids; the boroughs are mixed over the ids as in TLC's list."""
    ordinary = iter(
        sorted(
            ((number + 0.5) / count, borough, number)
            for borough, count in _BOROUGHS.items()
            for number in range(count)
        )
    )
    zones = []
    for location_id in range(1, 266):
        if (zone := _SPECIAL.get(location_id)) is None:
            _, borough, number = next(ordinary)
            zone = _ordinary_zone(location_id, borough, number)
        zones.append(zone)
    return tuple(zones)


def _ordinary_zone(location_id: int, borough: str, number: int) -> Zone:
    if borough != "Manhattan":
        return Zone(location_id, borough, f"{borough} {number + 1}", "Boro Zone")
    name = _MANHATTAN_NAMES[number] if number < len(_MANHATTAN_NAMES) else f"Manhattan {number + 1}"
    return Zone(location_id, borough, name, "Yellow Zone")
