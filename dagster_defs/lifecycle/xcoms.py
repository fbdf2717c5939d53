"""An argument that another task of the same window has left as an XCom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RETURNED = "return_value"
_PULL = re.compile(
    r"""\{\{\s*(?:ti|task_instance)\.xcom_pull\(\s*(?:task_ids\s*=\s*)?(?P<a>['"])(?P<task>[\w.-]+)(?P=a)"""
    r"""(?:\s*,\s*key\s*=\s*(?P<b>['"])(?P<key>\w+)(?P=b))?\s*\)\s*\}\}"""
)


@dataclass(frozen=True, slots=True)
class XCom:
    """What another task of the same window has left. `text`: it is put into a template, which makes text of it."""

    task: str
    key: str = RETURNED
    text: bool = False

    @classmethod
    def of(cls, value: Any) -> XCom | None:
        """The XCom that an argument is as a whole, as the exporter shows it; None for any other argument."""
        if isinstance(value, str) and (pull := _PULL.fullmatch(value.strip())):
            return cls(pull["task"], pull["key"] or RETURNED, text=True)
        if not isinstance(value, Mapping) or value.keys() != {"__xcom__", "key"}:
            return None
        tasks, key = value["__xcom__"], value["key"]
        return cls(tasks[0], key) if len(tasks) == 1 and isinstance(key, str) else None

    def __str__(self) -> str:
        return f"{self.task}.{self.key}" + (" as text" if self.text else "")

    def as_yaml(self, argument: str) -> dict[str, Any]:
        more = {
            **({} if self.key == RETURNED else {"key": self.key}),
            **({"text": True} if self.text else {}),
        }
        return {"argument": argument, "task": self.task, **more}
