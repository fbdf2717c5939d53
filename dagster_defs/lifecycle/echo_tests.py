"""An echo that was tested on one window, and the echoes of DAGs as people see them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dagster_defs.lifecycle.echo_place import Outstanding
from dagster_defs.lifecycle.units import Unit
from dagster_defs.older_python import datetime_of
from dagster_defs.windows import instant_text


@dataclass(frozen=True, slots=True)
class EchoTest:
    """`window`: Airflow's own, which the echo's was compared with; empty without a sensor. `heard_by`: who is told from
    then on, in the words of the gate `waited_for`. `starts`: the tasks in whose place other DAGs are started. `steps`:
    what was found out, in words. `refused`: who listens and cannot be told, and why."""

    dag_id: str
    at: datetime
    airflow: str
    window: str
    heard_by: tuple[str, ...]
    starts: tuple[Unit, ...] = ()
    steps: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict, hash=False)

    def as_json(self) -> dict[str, Any]:
        return {
            "dag": self.dag_id,
            "at": self.at.isoformat(),
            "airflow": self.airflow,
            "window": self.window,
            "heard_by": list(self.heard_by),
            "starts": list(map(str, self.starts)),
            "steps": list(self.steps),
            "refused": dict(self.refused),
        }

    def as_text(self) -> str:
        return json.dumps(self.as_json())

    @classmethod
    def from_text(cls, text: str) -> EchoTest:
        """Raises ValueError, KeyError or TypeError for anything that `as_text` does not write."""
        kept = json.loads(text)
        return cls(
            str(kept["dag"]),
            datetime_of(kept["at"]),
            str(kept["airflow"]),
            str(kept["window"]),
            tuple(map(str, kept["heard_by"])),
            tuple(map(Unit.parse, kept["starts"])),
            tuple(map(str, kept["steps"])),
            {str(name): str(why) for name, why in kept["refused"].items()},
        )


@dataclass(frozen=True, slots=True)
class Told:
    """One run of Dagster's that Airflow was told of. `about`: its window, in words."""

    about: str
    ended: datetime
    what: str

    def as_json(self) -> dict[str, Any]:
        return {"about": self.about, "ended": self.ended.isoformat(), "told": self.what}


@dataclass(frozen=True, slots=True)
class DagEchoes:
    """`told`: the newest first. `retired`: whether the sensor has looked at the DAG, which it does from then on."""

    dag_id: str
    retired: bool
    heard_by: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    told: tuple[Told, ...] = ()
    outstanding: tuple[Outstanding, ...] = ()
    tested: EchoTest | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "dag": self.dag_id,
            "retired": self.retired,
            "heard_by": list(self.heard_by),
            "refused": dict(self.refused),
            "told": [each.as_json() for each in self.told],
            "outstanding": [each.as_json() for each in self.outstanding],
            "tested": self.tested and self.tested.at.isoformat(),
        }

    @property
    def in_words(self) -> str:
        """What is true of the DAG as a whole."""
        tested = f"tested on {instant_text(self.tested.at)}" if self.tested else "not tested"
        if not self.heard_by:
            return "nothing waits for it" + (" that can be told" if self.refused else "")
        return f"{tested if not self.retired else 'echoed'}, for {', '.join(self.heard_by)}"
