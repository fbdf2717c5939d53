"""What somebody reads who wrote a comparison or a unit's YAML wrongly: their words, and none of pydantic's types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_defs.adapters.dagster.mirrors import _reason
from dagster_defs.errors import BadComparison, BadComparisonFile
from dagster_defs.usecases.compare.spec import ComparisonEntry, read_comparisons, read_tolerances
from tests.support.estate import ROOT, mirrors_of

PLACE = {"database": "a.duckdb", "table": "t"}
RIGHT: dict[str, Any] = {"name": "trips", "legacy": PLACE, "candidate": PLACE}
NOT_SAID = ("Input should", "instance", "Sequence", "Field required", "Extra inputs", "Entry", "Model")


def read(folder: Path, *entries: Any) -> list[ComparisonEntry | BadComparison]:
    file = folder / "spec.yaml"
    file.write_text(yaml.safe_dump({"comparisons": list(entries)}))
    return read_comparisons(file)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"key": "id"}, "key must be a list such as [a, b], not 'id'"),
        ({"key": 5}, "key must be a list such as [a, b], not 5"),
        ({"key": [1]}, "key.#1 must be a text, not 1"),
        ({"masked": {"a": 1}}, 'masked must be a list such as [a, b], not {"a": 1}'),
        ({"tolerances": "fare"}, "tolerances must be a list such as [a, b], not 'fare'"),
        ({"tolerances": [5]}, "tolerances.#1 must be a mapping, `name: value`, not 5"),
        ({"tolerances": [{"kind": "ignored"}]}, "tolerances.#1.column is missing"),
        (
            {"tolerances": [{"column": "a", "kind": "ignore"}]},
            "tolerances.#1.kind must be one of ignored, absolute, relative or timestamp_precision, not 'ignore'",
        ),
        (
            {"tolerances": [{"column": "a", "kind": "absolute", "value": [1]}]},
            "tolerances.#1.value must be a number or a text, not [1]",
        ),
        (
            {"tolerances": [{"column": "a", "kind": "ignored", "expires": "soon"}]},
            "tolerances.#1.expires must be a date such as 2024-03-10, not 'soon'",
        ),
        ({"window": "yesterday"}, "window must be a mapping, `name: value`, not 'yesterday'"),
        ({"window": {"start": True}}, "window.start: a bound is a date, a time, a number or text"),
        ({"keys": ["id"]}, "keys is not known here: correct its spelling, or leave it out"),
        ({"legacy": None}, "legacy is missing"),
        ({"candidate": "a.duckdb::t"}, "candidate must be a mapping, `name: value`, not 'a.duckdb::t'"),
        ({"legacy": {"table": "t"}}, "legacy: give one of database, target and files, not none"),
        (
            {"as_of": "soon"},
            "as_of must be a time such as 2024-03-10T12:00:00+00:00 or a date such as 2024-03-10, not 'soon'",
        ),
        ({"key": "x" * 100}, f"key must be a list such as [a, b], not '{'x' * 58}…"),
    ],
)
def test_a_wrong_comparison_in_words(tmp_path: Path, written: dict[str, Any], message: str) -> None:
    """The message says where, what has to stand there, and what was written."""
    [error] = read(tmp_path, RIGHT | written)
    assert str(error) == f"comparison trips: {message}"
    assert not any(word in str(error) for word in NOT_SAID)


@pytest.mark.parametrize("entry", [5, None, ["a"], "a.duckdb::t"])
def test_an_entry_that_is_no_comparison(tmp_path: Path, entry: Any) -> None:
    """An entry of another shape is an error of its own, by its number; the others are read."""
    wrong, right = read(tmp_path, entry, RIGHT)
    assert str(wrong).startswith("comparison #1: it must be a mapping, `name: value`, not ")
    assert isinstance(right, ComparisonEntry)


OPTIONAL = [name for name, field in ComparisonEntry.model_fields.items() if not field.is_required()]


@pytest.mark.parametrize("name", OPTIONAL)
def test_an_optional_field_may_be_null(tmp_path: Path, name: str) -> None:
    """`key:` with nothing behind it is the same as no key, and so with every other optional field."""
    assert read(tmp_path, RIGHT | {name: None}) == read(tmp_path, RIGHT)


def test_nulls_further_inside(tmp_path: Path) -> None:
    """Places, windows and tolerances may have nulls as well."""
    place = {**PLACE, "schema": None, "target": None, "files": None}
    tolerance = {"column": "a", "kind": "ignored"}
    nulls = {"value": None, "reason": None, "expires": None}
    given = RIGHT | {"legacy": place, "window": {"start": None, "end": None, "timezone": None}}
    [with_nulls] = read(tmp_path, given | {"tolerances": [tolerance | nulls]})
    [without] = read(tmp_path, RIGHT | {"window": {}, "tolerances": [tolerance]})
    assert with_nulls == without


def test_a_wrong_file_of_tolerances_in_words(tmp_path: Path) -> None:
    """A file of tolerances is refused in the same words."""
    file = tmp_path / "tolerances.yaml"
    file.write_text("- { column: fare, kind: absolute, value: 1, expire: 2024-03-10 }")
    with pytest.raises(BadComparisonFile, match="expire is not known here"):
        read_tolerances(file)


UNIT = {
    "unit": "own.wrong",
    "schedule": {"cron": "0 7 * * 1", "timezone": "America/New_York", "start": "2023-11-01"},
    "command": "run",
    "select": "tag:weekly",
}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"retries": [1]}, "attributes.retries must be a whole number, not [1]"),
        ({"bogus": 1}, "attributes.bogus is not known here: correct its spelling, or leave it out"),
        ({"compare": None}, "attributes.compare must be a list such as [a, b], not null"),
        (
            {"compare": [{"name": "weekly_metrics", "masked": 5}]},
            "attributes.compare.#1.masked must be a list such as [a, b], not 5",
        ),
        ({"gates": 5}, "attributes.gates must be a mapping, `name: value`, not 5"),
        (
            {"schedule": {**UNIT["schedule"], "bogus": 3}},  # type: ignore[dict-item]  # a mapping
            "attributes.schedule.bogus is not known here: correct its spelling, or leave it out",
        ),
    ],
)
def test_a_wrong_unit_in_words(tmp_path: Path, written: dict[str, Any], message: str) -> None:
    """What Dagster refuses in a unit's YAML is told in the same words, with file and line."""
    file = tmp_path / "defs" / "own" / "defs.yaml"
    file.parent.mkdir(parents=True)
    document = {"type": "dagster_defs.components.DbtUnit", "attributes": UNIT | written}
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - Dagster wraps it in errors of its own
        mirrors_of(tmp_path / "defs", ROOT)

    reason = _reason(caught.value)
    assert reason.startswith(f"{message} ({file}:")
    assert not any(word in reason for word in NOT_SAID)
