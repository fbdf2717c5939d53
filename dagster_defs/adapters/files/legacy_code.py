"""A legacy function by its dotted path: located without importing it, and imported only when it is called."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from itertools import accumulate
from pathlib import Path
from typing import Any

from dagster_defs.adapters.files.sliced_code import LOCALS, NoSlice, slice_of


@dataclass(frozen=True, slots=True)
class LegacyFunction:
    """`folder` is put at the front of Python's path, as Airflow does with the DAGs folder."""

    path: str
    folder: Path

    @property
    def module(self) -> str:
        return self.path.partition(f".{LOCALS}.")[0].rpartition(".")[0]

    @property
    def name(self) -> str:
        """With the function that makes it, if there is one: `maker.<locals>.name`."""
        return self.path[len(self.module) + 1 :]

    def find_module(self) -> ModuleSpec | None:
        """None if there is no such module. Neither the module nor its parent packages are imported."""
        spec: ModuleSpec | None = None
        places: Sequence[str] | None = [str(self.folder), *sys.path]
        for name in _each_longer(self.module):
            spec = None if places is None else PathFinder.find_spec(name, places)
            if spec is None and "." not in name:
                spec = _installed(name)
            if spec is None:
                return None
            places = spec.submodule_search_locations
        return spec

    def refusal(self) -> str:
        """Why it cannot be called here, as far as the module's source shows; empty if it can."""
        spec = self.find_module()
        if spec is None:
            return f"there is no module {self.module!r} in {self.folder.name}/"
        if not (spec.origin or "").endswith(".py"):
            return ""
        try:
            text = ast.parse(Path(str(spec.origin)).read_text(encoding="utf-8"))
        except (SyntaxError, ValueError) as error:
            return f"module {self.module!r} is not to be read: {error}"
        names = set(_bound(text))
        if LOCALS in self.name:
            return self._unsliced(text)
        if self.name not in names and not names & {"*", "__getattr__"}:
            return f"module {self.module!r} has no function {self.name!r}"
        missing = self._missing(text)
        if not missing or (self.name in names and not (why := self._unsliced(text))):
            return ""
        more = f", and without it: {why}" if self.name in names else ""
        return f"module {self.module!r} imports {missing}, which is not there{more}"

    def _missing(self, text: ast.Module) -> str:
        """The first package that the module imports and that is not there; empty if all are."""
        return next((name for name in _imported(text) if not self._is_there(name)), "")

    def _is_there(self, package: str) -> bool:
        return LegacyFunction(f"{package}._", self.folder).find_module() is not None

    def _unsliced(self, text: ast.Module) -> str:
        try:
            slice_of(text, self.name, self._is_there)
        except NoSlice as why:
            return f"{self.name.rpartition('.')[2]} cannot be taken out of its file: {why}"
        return ""

    def load(self) -> Callable[..., Any] | None:
        """None if the module has no such name. Raises what importing it raises.

        From a file that imports what is not there, as a DAG's file imports Airflow, the function is taken alone, with
        what it uses of the file.
        """
        folder = str(self.folder)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        if (sliced := self._sliced()) is not None:
            return sliced
        function: Callable[..., Any] | None = getattr(importlib.import_module(self.module), self.name, None)
        return function

    def _sliced(self) -> Callable[..., Any] | None:
        """None for a module that can be imported as a whole."""
        spec = self.find_module()
        if spec is None or not (spec.origin or "").endswith(".py"):
            return None
        try:
            text = ast.parse(Path(str(spec.origin)).read_text(encoding="utf-8"))
            if LOCALS not in self.name and not self._missing(text):
                return None
            return slice_of(text, self.name, self._is_there).load(self.module, str(spec.origin))
        except (SyntaxError, ValueError, NoSlice):
            return None  # then importing it raises why not

    def call(self, *arguments: Any) -> Any:
        """Raises LookupError if there is no such function, and what it raises itself."""
        function = self.load()
        if function is None:
            raise LookupError(f"module {self.module!r} has no function {self.name!r}")
        return function(*arguments)


def _each_longer(module: str) -> Iterator[str]:
    """`a`, `a.b`, `a.b.c`; empty for an invalid module name."""
    parts = module.split(".")
    if all(part.isidentifier() for part in parts):
        yield from accumulate(parts, "{}.{}".format)


def _installed(name: str) -> ModuleSpec | None:
    """A module that only the regular import machinery finds; for a name without a dot nothing is imported."""
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


def _imported(module: ast.Module) -> Iterator[str]:
    """Packages that the module requires: what it imports at the top, unconditionally."""
    for node in module.body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _bound(node: ast.AST) -> Iterator[str]:
    """Names that a module's source binds, except classes: calling one would only make an object."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef():
                pass
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name.partition(".")[0]
            case _:
                yield from _bound(child)
