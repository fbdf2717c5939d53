"""What the Taxi and Limousine Commission publishes, and what of it the estate keeps.

https://www.nyc.gov/site/tlc/about/tlc-trip-record-data.page
"""

from __future__ import annotations

import pyarrow as pa

# The types are those of the files published since 2023-02.
TRIPS = pa.schema(
    [
        ("VendorID", pa.int32()),
        ("tpep_pickup_datetime", pa.timestamp("us")),
        ("tpep_dropoff_datetime", pa.timestamp("us")),
        ("passenger_count", pa.int64()),
        ("trip_distance", pa.float64()),
        ("RatecodeID", pa.int64()),
        ("store_and_fwd_flag", pa.large_string()),
        ("PULocationID", pa.int32()),
        ("DOLocationID", pa.int32()),
        ("payment_type", pa.int64()),
        ("fare_amount", pa.float64()),
        ("extra", pa.float64()),
        ("mta_tax", pa.float64()),
        ("tip_amount", pa.float64()),
        ("tolls_amount", pa.float64()),
        ("improvement_surcharge", pa.float64()),
        ("total_amount", pa.float64()),
        ("congestion_surcharge", pa.float64()),
        ("Airport_fee", pa.float64()),
    ]
)

ZONES = pa.schema(
    [
        ("LocationID", pa.int32()),
        ("Borough", pa.string()),
        ("Zone", pa.string()),
        ("service_zone", pa.string()),
    ]
)


def faults(published: pa.Schema, agreed: pa.Schema) -> tuple[str, ...]:
    """One line for each agreed column that is missing or of another kind; empty when the file will do.

    Only the kind counts: over the years TLC has published counts as integers and as doubles, and
    `Airport_fee` in both spellings. Further columns are welcome and are left behind.
    """
    types = {field.name.lower(): field.type for field in published}
    lines = []
    for field in agreed:
        actual = types.get(field.name.lower())
        if actual is None:
            lines.append(f"column {field.name} is missing")
        elif _kind(actual) != _kind(field.type):
            lines.append(f"column {field.name} is {actual}, not {field.type}")
    return tuple(lines)


def _kind(data_type: pa.DataType) -> str:
    if pa.types.is_integer(data_type) or pa.types.is_floating(data_type) or pa.types.is_decimal(data_type):
        return "number"
    if pa.types.is_string(data_type) or pa.types.is_large_string(data_type):
        return "text"
    if pa.types.is_timestamp(data_type):
        # A zone would shift every wall-clock time on its way in.
        return "timestamp" if data_type.tz is None else "timestamp with zone"
    return str(data_type)
