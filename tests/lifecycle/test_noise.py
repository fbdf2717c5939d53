"""What two legacy runs that differ are called, and what is proposed for them."""

from __future__ import annotations

from datetime import date

import yaml

from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.noise import Noise
from dagster_defs.lifecycle.rehearsals import RESULTS, Rehearsal
from dagster_defs.lifecycle.verdicts import WindowCheck
from dagster_defs.parity import Check, SideCounts, Verdict

UNIT = Unit("shop", "orders")
DAYS = ("2024-03-09", "2024-03-10")
REASON = "differs between two legacy runs of 2024-03-09 to 2024-03-10"
MATCH = Check("stock", Verdict.MATCH, "7 rows equal", rows=SideCounts(7, 7))


def noise(*checks: Check) -> Noise:
    found = tuple(WindowCheck(UNIT, DAYS[0], check) for check in checks)
    return Noise.of(Rehearsal(UNIT, DAYS, 1.25, found), date(2027, 1, 31))


def mismatch(name: str, *columns: str, alone: int = 0, modified: int = 0) -> Check:
    return Check(
        name,
        Verdict.MISMATCH,
        "said by the comparison",
        rows=SideCounts(7, 7),
        only_in_legacy=alone,
        only_in_candidate=alone,
        modified=modified,
        differing_columns=columns,
    )


def reason(check: Check) -> str:
    [found] = noise(check).checks
    return found.check.reason


def test_a_match_is_quiet() -> None:
    """Two runs that agree need nothing: quiet, no tolerance, nothing to paste."""
    found = noise(MATCH)

    assert (found.quiet, found.tolerances, found.yaml) == (True, {}, "")


def test_what_was_not_compared_is_not_quiet() -> None:
    """Where nothing was compared, nothing is known: not quiet, and nothing is proposed."""
    found = noise(MATCH, Check("first run", Verdict.INCONCLUSIVE, "it failed"))

    assert (found.quiet, found.tolerances) == (False, {})


def test_a_column_that_differs_gets_a_tolerance() -> None:
    """Each differing column is proposed once for its output, whatever the number of windows."""
    found = noise(
        mismatch("orders", "built_at", modified=3), mismatch("orders", "built_at", "lucky", modified=2)
    )

    assert "&" not in found.yaml
    assert yaml.safe_load(found.yaml) == {
        "tolerances": [
            {"column": column, "kind": "ignored", "reason": REASON, "expires": date(2027, 1, 31)}
            for column in ("built_at", "lucky")
        ]
    }


def test_the_reason_speaks_of_two_legacy_runs() -> None:
    """A mismatch is called noise, with its columns."""
    assert (
        reason(mismatch("orders", "a", "b", modified=1))
        == "noise: columns a, b differ between two legacy runs"
    )


def test_rows_of_one_run_alone_are_no_columns() -> None:
    """Rows that only one run has are said beside the columns, and that no tolerance excuses them."""
    message = reason(mismatch("orders", "a", alone=1, modified=1))

    assert message == (
        "noise: column a differs between two legacy runs; 1 row only in the first run, which no tolerance can excuse; "
        "1 row only in the second run, which no tolerance can excuse"
    )


def test_without_a_key_rows_tell_of_their_columns() -> None:
    """Without a key a differing row is one lost and one gained: only the column is noise."""
    assert reason(mismatch("orders", "a", alone=7)) == "noise: column a differs between two legacy runs"


def test_nothing_excuses_dbts_results() -> None:
    """A test that ends one way and then another is noise with its own words, without a tolerance."""
    found = noise(Check(RESULTS, Verdict.MISMATCH, "test.t.a: warn in the first run, pass in the second run"))

    assert found.tolerances == {}
    assert found.checks[0].check.reason.startswith("noise: test.t.a: warn in the first run")


def test_the_json_has_its_schema() -> None:
    """The document names its schema, the unit, the windows, and each proposal with its output."""
    document = noise(MATCH, mismatch("orders", "a", modified=1)).as_json()

    assert {name: document[name] for name in ("schema", "unit", "windows", "seconds", "quiet")} == {
        "schema": "parity/noise/1",
        "unit": "shop.orders",
        "windows": [*DAYS],
        "seconds": 1.2,
        "quiet": False,
    }
    assert document["tolerances"] == [
        {"output": "orders", "column": "a", "kind": "ignored", "reason": REASON, "expires": "2027-01-31"}
    ]
