"""`parity compare` against a slow reference, on a thousand drawn sets of files: no false verdict either way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlglot import exp

from dagster_defs.adapters.warehouse.duckdb import data_files, text_reading
from dagster_defs.parity import Zones, bounds, text_types
from dagster_defs.parity.text_types import TextFacts
from dagster_defs.parity.united import United
from dagster_defs.usecases.compare.relations import compare_file
from tests.support.drawn_files import Drawn, draw
from tests.support.text_and_arrow import verdict

BATCH = 250


def drawn(folder: Path, seeds: range) -> Iterator[tuple[Drawn, str, str]]:
    """Each case, the verdict of the product and what it says of it."""
    cases = [draw(seed, folder) for seed in seeds]
    spec = folder / "spec.yaml"
    spec.write_text(yaml.safe_dump({"comparisons": [case.entry for case in cases]}))
    for case, check in zip(cases, compare_file(spec, folder, 0), strict=True):
        yield case, check.verdict.value, check.reason


@pytest.mark.thorough
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("first", range(0, 1_000, BATCH))
def test_no_false_verdict(tmp_path: Path, first: int) -> None:
    """For every case, match, mismatch and inconclusive are what reading the files by hand says."""
    found = Counter[str]()
    false = []
    for case, said, reason in drawn(tmp_path, range(first, first + BATCH)):
        right = verdict(case.question)
        found[right] += 1
        if said != right:
            false.append((case.entry["name"], f"is {said}, and {right} is right", reason))
    assert not false, "\n".join(map(str, false))
    # A reference that refuses everything would find nothing.
    assert min(found["match"], found["mismatch"]) >= BATCH // 8, found
    assert 0 < found["inconclusive"] <= BATCH * 2 // 5, found


def _first_type(types: Any) -> United:
    return United(next(iter(types)))


def _first_columns(groups: Any) -> dict[str, str]:
    return {name.lower(): name for name, _ in groups[0].columns}


def _numbers_with_loss(facts: TextFacts) -> str:
    return "DOUBLE" if facts.present and facts.numerals == facts.present else TEXT_READING(facts)


def _days_of_utc(*_: Any, **__: Any) -> Any:
    return BOUNDING_VALUE(Zones(), *_[1:], **__)


TEXT_READING: Callable[[TextFacts], str] = TextFacts.reading.fget  # type: ignore[attr-defined]
BOUNDING_VALUE = bounds.bounding_value

FAULTS: dict[str, tuple[Any, str, Any]] = {
    "the first file's types": (data_files, "united", _first_type),
    "the first file's columns": (data_files, "_names", _first_columns),
    "numbers are doubles": (TextFacts, "reading", property(_numbers_with_loss)),
    "leading zeros are lost": (text_types, "_NUMERAL", r"-?[0-9]+(\.[0-9]+)?"),
    "whatever can be cast is": (text_reading, "keeps", lambda value, kind: exp.true()),
    "zones are forgotten": (bounds, "bounding_value", _days_of_utc),
}


@pytest.mark.thorough
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """The reference tells each way of reading files wrongly that was ever found, within the same cases."""
    monkeypatch.setattr(*FAULTS[fault])
    disagreeing = (case for case, said, _ in drawn(tmp_path, range(400)) if said != verdict(case.question))
    assert list(islice(disagreeing, 1)), fault
