"""What Airflow is told of retired DAGs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagster_defs.lifecycle.echo_tests import DagEchoes, EchoTest
from dagster_defs.render.text.base import out, print_plain, table, warn
from dagster_defs.windows import instant_text

__all__ = ["echoes_json", "print_echo_test", "print_echoes"]


def print_echoes(found: Sequence[DagEchoes]) -> None:
    if not found:
        print_plain("nothing is echoed: no retired DAG with a mirror was looked at yet, and none was tested")
        return
    for dag in found:
        print_plain(f"{dag.dag_id}: {dag.in_words}")
        _refused(dag.refused)
    lines = table("DAG", "WINDOW", "ENDED", "AIRFLOW WAS TOLD")
    for dag in found:
        for late in dag.outstanding:
            lines.add_row(dag.dag_id, late.about, instant_text(late.ended), f"outstanding: {late.why}")
        for told in dag.told:
            lines.add_row(dag.dag_id, told.about, instant_text(told.ended), told.what)
    if lines.row_count:
        out.print()
        out.print(lines)


def _refused(refused: Any) -> None:
    for who, why in refused.items():
        warn(f"{who} is not told: {why}")


def print_echo_test(tested: EchoTest) -> None:
    for step in tested.steps:
        print_plain(step)
    print_plain(f"Once {tested.dag_id} is retired, Airflow is told for {', '.join(tested.heard_by)}")
    _refused(tested.refused)


def echoes_json(found: Sequence[DagEchoes]) -> dict[str, Any]:
    """`{schema, dags: [...]}`; see docs/reference.md."""
    return {"schema": "parity/echoes/1", "dags": [each.as_json() for each in found]}
