"""`parity store check`: reads everything that the store holds, and holds the marks against the ledger."""

from __future__ import annotations

from collections.abc import Iterator

from dagster_defs.adapters.store.proxied_state import Marks
from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.lifecycle import Stage
from dagster_defs.lifecycle.facts import Facts
from dagster_defs.lifecycle.histories import Histories
from dagster_defs.lifecycle.stores import Drift, StoreCheck
from dagster_defs.settings import Settings


def check_store(settings: Settings) -> StoreCheck:
    """Raises what reading the store raises: an entry that may be about any unit, or a store that is not there."""
    store = store_reader(settings)
    figures, flaws, contents = store.figures(), store.flaws(), store.read()
    drifts = [Drift("the store", flaw) for flaw in flaws]
    drifts += _drifts(contents.histories(), store.marks(), store.marks_in_airflow())
    return StoreCheck(figures, tuple(drifts))


def _drifts(histories: Histories, marks: Marks, in_airflow: Marks) -> Iterator[Drift]:
    for unit, problem in sorted(histories.problems.items()):
        yield Drift(str(unit), str(problem))
    for dag_id, problems in sorted(in_airflow.problems.items()):
        yield from (Drift(dag_id, problem) for problem in problems)
    for unit, history in sorted(histories.items()):
        facts = Facts(unit, history.stage or Stage.OBSERVED, marks.honoured(unit), history)
        if facts.drifted and not marks.doubt(unit):  # a doubt is told above
            mark = "proxied" if facts.marked else "not proxied"
            why = f"the ledger says {facts.stage}, the mark says {mark}. Correct it: parity resume {unit}"
            yield Drift(str(unit), why)
