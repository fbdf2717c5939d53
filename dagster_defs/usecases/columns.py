"""The columns of outputs as their warehouse, or a Parquet file, declares them once a run has written them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from dagster_defs.adapters.warehouse.places import Readers
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle.mirrors import FileOutput, Output
from dagster_defs.parity import Column, Side
from dagster_defs.usecases.check import place_of

SECONDS_FOR_LOCKS = 5.0  # a run does not wait longer than that only to show types
Key = TypeVar("Key")


def columns_written(outputs: Mapping[Key, tuple[Output, Side]]) -> dict[Key, Sequence[Column]]:
    """By the same keys, in the table's order. Files that declare no types, or have columns of their own each, have
    none, and neither has what cannot be read now."""
    with Readers() as readers:
        return {key: _columns(readers, output, side) for key, (output, side) in outputs.items()}


def _columns(readers: Readers, output: Output, side: Side) -> Sequence[Column]:
    if isinstance(output, FileOutput) and (output.each or not output.files(side).endswith(".parquet")):
        return ()
    try:
        place = place_of(output, side)
        with readers.of_one(place, output.name, SECONDS_FOR_LOCKS) as (reader, relation):
            return reader.columns(relation) or ()
    except ParityError:
        return ()
