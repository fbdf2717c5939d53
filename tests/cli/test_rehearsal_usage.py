"""Wrong words for `parity rehearse` and `parity check --noise`."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from dagster_defs import cli

UNIT = "taxi_daily.dbt_daily"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            ["rehearse", UNIT, "--last", "1", "--from", "2024-03-08"], "not both", id="last and from"
        ),
        pytest.param(["rehearse", UNIT, "--last", "1", "--to", "2024-03-08"], "not both", id="last and to"),
        pytest.param(
            ["check", UNIT, "--noise", "--evidence"],
            "cannot be combined with --evidence",
            id="noise and evidence",
        ),
        pytest.param(["check", "--noise", "--from", "2024-03-08"], "one unit", id="noise of no unit"),
        pytest.param(["check", UNIT, "a.b", "--noise"], "one unit", id="noise of two units"),
        pytest.param(
            ["check", UNIT, "--inventory", "x.json"], "requires --noise", id="an inventory for nothing"
        ),
    ],
)
def test_words_that_do_not_go_together(words: list[str], message: str) -> None:
    """Options that contradict each other are a usage error, and none of them is dropped."""
    outcome = CliRunner().invoke(cli.app, words, env={"COLUMNS": "200", "TERM": "dumb"})

    assert outcome.exit_code == 2
    assert message in outcome.output
