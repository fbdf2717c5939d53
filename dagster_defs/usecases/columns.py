"""The columns of an output as its warehouse, or a Parquet file, declares them once a run has written it."""

from __future__ import annotations

from collections.abc import Sequence

from dagster_defs.adapters.warehouse.places import Readers
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle.mirrors import FileOutput, Output
from dagster_defs.parity import Column, Side
from dagster_defs.usecases.check import place_of

SECONDS_FOR_LOCKS = 5.0  # a run does not wait longer than that only to show types


def columns_written(output: Output, side: Side) -> Sequence[Column]:
    """In the table's order; empty for files that declare no types, for files with columns of their own each, and if
    they cannot be read now."""
    if isinstance(output, FileOutput) and (output.each or not output.files(side).endswith(".parquet")):
        return ()
    try:
        with (
            Readers() as readers,
            readers.of_one(place_of(output, side), output.name, SECONDS_FOR_LOCKS) as (reader, relation),
        ):
            return reader.columns(relation) or ()
    except ParityError:
        return ()
