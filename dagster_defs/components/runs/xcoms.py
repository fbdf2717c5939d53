"""What a function of one window gets from other tasks, and leaves for them, in the store that legacy operators use."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dagster_defs.adapters.airflow.task_store import Attempt, WindowStore
from dagster_defs.components.runs.window_records import Records
from dagster_defs.errors import XComRefused
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.xcoms import RETURNED, XCom

_TIME = "1970-01-01T00:00:00+00:00"  # no task is told when an XCom was written
# Under these keys Airflow's own forms of values say what they are.
_FORMS = frozenset({"__classname__", "__data__", "__version__", "__type", "__var", "__type__", "__var__"})


@dataclass(frozen=True)
class XComs:
    """`returns`: what becomes of the function's value: `xcom`, or `multiple_outputs`, one for each key of it besides;
    anything else leaves nothing. `others`: what the other tasks of the window left behind."""

    unit: Unit
    run_id: str
    store: WindowStore
    returns: str
    others: Callable[[], Records]

    def given(self, wanted: Mapping[str, XCom]) -> dict[str, Any]:
        """By argument. Raises XComRefused, TaskStoreUnreadable."""
        others = self.others() if wanted else {}
        return {name: self._value(name, xcom, others) for name, xcom in wanted.items()}

    @contextmanager
    def leaving(self) -> Iterator[Callable[[Any], None]]:
        """What is called with the function's value leaves it. Until then, and after a failure, the store holds no value
        of an earlier run."""
        if self.returns not in ("xcom", "multiple_outputs"):
            yield lambda value: None
            return
        self._keep("running", {})
        try:
            yield lambda value: self._keep("success", self._left(value))
        except BaseException:
            self._keep("failed", {})
            raise

    def _value(self, name: str, xcom: XCom, others: Records) -> Any:
        record, where = others.get(xcom.task), f"{self.unit.dag_id}.{xcom.task}"
        if record is None:
            reason = f"argument {name} is an XCom of {where}, which Dagster has not run for this window"
            raise XComRefused(
                str(self.unit), reason, f"Run {where} first; two tasks that share an XCom move together"
            )
        if (state := record["state"]) != "success":
            reason = (
                f"argument {name} is an XCom of {where}, which has Airflow's state {state} for this window"
            )
            raise XComRefused(
                str(self.unit), reason, "Mirror it as a LegacyTask, to which Airflow's trigger rules apply"
            )
        rows = [
            row for instance in record["instances"] for row in instance["xcoms"] if row["key"] == xcom.key
        ]
        if not rows and xcom.key == RETURNED:
            value = None
        elif len(rows) == 1 and "json" in rows[0]["value"]:
            value = json.loads(rows[0]["value"]["json"])
        else:
            reason = f"{where} has not left the XCom {xcom.key} as plain JSON (argument {name})"
            raise XComRefused(
                str(self.unit), reason, "Mirror it as a LegacyTask, which reads it as Airflow does"
            )
        if why := why_not_plain(value):
            reason = f"the XCom {xcom.key} of {where} (argument {name}) is no plain JSON: {why}"
            raise XComRefused(
                str(self.unit), reason, "Mirror it as a LegacyTask, which reads it as Airflow does"
            )
        return str(value) if xcom.text else value

    def _left(self, value: Any) -> dict[str, Any]:
        if value is None:
            return {}
        if why := why_not_plain(value):
            reason = f"it returned what is no plain JSON: {why}"
            raise XComRefused(
                str(self.unit), reason, "Mirror it as a LegacyTask, which stores it as Airflow does"
            )
        if self.returns == "xcom":
            return {RETURNED: value}
        if not isinstance(value, dict):
            reason = f"it returned a {type(value).__name__}, and multiple_outputs needs a dict"
            raise XComRefused(str(self.unit), reason, "Correct the function, or `returns` in its YAML")
        return {**value, RETURNED: value}

    def _keep(self, state: str, left: Mapping[str, Any]) -> None:
        xcoms = [
            {"key": key, "value": {"json": json.dumps(value)}, "timestamp": _TIME}
            for key, value in left.items()
        ]
        instance = {"map_index": -1, "state": state, "error": "", "until": None, "xcoms": xcoms}
        record = {"state": state, "instances": [{**instance, "task_map": [], "reschedules": []}], "skips": []}
        self.store.keep(self.unit, Attempt(self.run_id, int(state == "failed"), record))


def why_not_plain(value: Any) -> str:
    """Why JSON does not give the value back exactly, or Airflow stores it in a form of its own; empty if neither."""
    if type(value) is float and not math.isfinite(value):
        return f"{value} in it"
    if value is None or type(value) in (bool, int, float, str):
        return ""
    if type(value) is list:
        return next(filter(None, map(why_not_plain, value)), "")
    if type(value) is not dict:
        return f"a {type(value).__name__} in it"
    if strange := next((key for key in value if type(key) is not str or key in _FORMS), None):
        return f"a dict with the key {strange!r} in it"
    return next(filter(None, map(why_not_plain, value.values())), "")
