"""Whether the handlers around a call in Python code keep its failure from failing the task."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

_LEAVING = ast.Return | ast.Break | ast.Continue


class Failure(Enum):
    """What a failed program raises: `CalledProcessError`, or anything else that the code or a library raises."""

    CHECKED = "checked"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Handler:
    """`types`: what it catches by dotted path, empty for everything. `forgives`: whether no failure leaves it; None if
    that is not known."""

    types: tuple[str, ...]
    forgives: bool | None

    def catches(self, failure: Failure) -> bool | None:
        known = [_catches(path, failure) for path in self.types]
        if not self.types or True in known:
            return True
        return None if None in known else False


Guard = tuple[Handler, ...]  # the handlers of one `try`, in order


def _catches(path: str, failure: Failure) -> bool | None:
    if path in ("Exception", "BaseException"):
        return True
    if failure is Failure.ANY:
        return None
    if path.startswith("subprocess."):
        return path in ("subprocess.CalledProcessError", "subprocess.SubprocessError")
    return False if hasattr(builtins, path) or path.startswith("airflow.") else None


def escapes(guards: Sequence[Guard], failure: Failure) -> bool | None:
    """Whether the failure gets past all of them, the innermost last; None if that is not known."""
    for guard in reversed(guards):
        for handler in guard:
            caught = handler.catches(failure)
            if caught is None or (caught and handler.forgives is None):
                return None
            if caught and handler.forgives:
                return False
            if caught:
                failure = Failure.ANY  # whatever the handler raises
                break
    return True


def forgives(body: Sequence[ast.stmt]) -> bool | None:
    """Whether a handler ends well: not if it certainly raises; None if it may."""
    raises = any(isinstance(inner, ast.Raise) or exits(inner) for each in body for inner in ast.walk(each))
    return None if raises and not surely_raises(body) else not raises


def surely_raises(body: Sequence[ast.stmt]) -> bool:
    for statement in body:
        if isinstance(statement, ast.Raise) or (isinstance(statement, ast.Expr) and exits(statement.value)):
            return True
        if any(isinstance(inner, _LEAVING) for inner in ast.walk(statement)):
            return False
    return False


def exits(node: ast.AST) -> bool:
    """Whether it is a call that ends the process."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "exit")
