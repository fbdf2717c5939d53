"""One side's Parquet and CSV files as one relation: the columns and types of all of them, or why that is impossible."""

from __future__ import annotations

import csv
import glob
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_defs.errors import StatementFailed
from dagster_defs.parity.families import fold, parse_type
from dagster_defs.parity.fragments import column, text
from dagster_defs.parity.text_types import TEXT, keeps
from dagster_defs.parity.united import united

Rows = Callable[[str], list[tuple[Any, ...]]]
"""Runs a statement of DuckDB. Raises StatementFailed."""
CSV_SUFFIXES = {".csv", ".tsv"}
SUFFIXES = {".parquet", *CSV_SUFFIXES}
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class FileRows:
    """A query for the rows of all files. `columns`: names and types in order; CSV columns are text."""

    query: str
    columns: tuple[tuple[str, str], ...]
    is_text: bool


@dataclass(frozen=True, slots=True)
class _Group:
    """Files with the same columns, and how DuckDB reads them."""

    source: str
    columns: tuple[tuple[str, str], ...]
    example: Path


def read_files(rows: Rows, paths: Sequence[Path]) -> FileRows:
    """A path may be a file, a glob, or a folder, whose Parquet and CSV files count, including those in subfolders.

    A column that only some of the files have is NULL in the others. Raises StatementFailed for files that cannot be
    read as one relation without loss.
    """
    files = list(dict.fromkeys(file for path in paths for file in _files_of(rows, path)))
    kinds = {file.suffix.lower() in CSV_SUFFIXES for file in files}
    if len(kinds) > 1:
        raise StatementFailed(f"{_all(paths)} holds both Parquet and CSV files: name those of one kind")
    is_text = kinds == {True}
    groups = list(_csv_groups(files) if is_text else _parquet_groups(rows, files))
    names = _names(groups)
    types = {folded: _type_of(rows, name, folded, groups) for folded, name in names.items()}
    query = " union all ".join(_selected(group, names, types) for group in groups)
    return FileRows(query, tuple((name, types[folded]) for folded, name in names.items()), is_text)


def _files_of(rows: Rows, path: Path) -> Iterator[Path]:
    if path.is_dir():
        inside = sorted(
            file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()
        )
        # What writers leave next to their files, such as _temporary/ or .part.parquet, is not data.
        visible = [
            file for file in inside if not any(part[0] in "._" for part in file.relative_to(path).parts)
        ]
    elif path.exists():
        visible = [path]
    else:
        query = f"select file from glob({_literal(str(path))}) order by file"  # noqa: S608 - quoted
        visible = [Path(name) for [name] in rows(query)]
    if not visible:
        raise StatementFailed(
            f"there is no file {path}" if not path.is_dir() else f"{path} has no data files"
        )
    yield from visible


def _parquet_groups(rows: Rows, files: Sequence[Path]) -> Iterator[_Group]:
    grouped: dict[tuple[tuple[str, str], ...], list[Path]] = {}
    for file in files:
        described = rows(f"describe select * from {_parquet([file])}")  # noqa: S608 - quoted
        if any(kind == "DOUBLE" for _, kind, *_ in described):
            _refuse_wide_decimals(rows, file)
        grouped.setdefault(tuple((name, kind) for name, kind, *_ in described), []).append(file)
    for columns, same in grouped.items():
        yield _Group(_parquet(same), columns, same[0])


def _parquet(files: Sequence[Path]) -> str:
    # Columns come only from the files, never from the names of their folders.
    return f"read_parquet({_listed(files)}, hive_partitioning = false)"


def _refuse_wide_decimals(rows: Rows, file: Path) -> None:
    """DuckDB reads a decimal of more than 38 digits as a double."""
    wide = rows(f"select name from parquet_schema({_escaped(file)}) where precision > 38")  # noqa: S608 - quoted
    if wide:
        raise StatementFailed(
            f"column {wide[0][0]} of {file} has more digits than the 38 that DuckDB can hold"
        )


def _csv_groups(files: Sequence[Path]) -> Iterator[_Group]:
    grouped: dict[tuple[str, tuple[str, ...]], list[Path]] = {}
    for file in files:
        grouped.setdefault(_header(file), []).append(file)
    for (delimiter, names), same in grouped.items():
        columns = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in names)
        # Nothing is sniffed: what DuckDB infers from a sample may differ from file to file.
        source = (
            f"read_csv({_listed(same)}, columns = {{{columns}}}, delim = {_literal(delimiter)}, auto_detect = false,"
            " header = true, quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false,"
            " null_padding = false, hive_partitioning = false)"
        )
        yield _Group(source, tuple((name, TEXT) for name in names), same[0])


def _header(file: Path) -> tuple[str, tuple[str, ...]]:
    """The delimiter and the column names; a column without a name is named after its position."""
    records = {delimiter: _first_record(file, delimiter) for delimiter in _DELIMITERS}
    if not records[","]:
        raise StatementFailed(f"{file} has no header in its first line")
    if file.suffix.lower() == ".tsv":
        delimiter = "\t"
    elif len(records[","]) > 1:
        delimiter = ","
    else:
        others = [each for each in _DELIMITERS if len(records[each]) > 1]
        if len(others) > 1:
            raise StatementFailed(
                f"the header of {file} may be separated by any of {' '.join(map(repr, others))}"
            )
        delimiter = others[0] if others else ","
    names = tuple(name or f"column{place}" for place, name in enumerate(records[delimiter]))
    folded = [fold(name) for name in names]
    twice = next((name for name in names if folded.count(fold(name)) > 1), None)
    if twice is not None:
        raise StatementFailed(f"{file} has two columns {twice!r}")
    return delimiter, names


def _first_record(file: Path, delimiter: str) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return next(csv.reader(lines, delimiter=delimiter), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StatementFailed(f"the header of {file} cannot be read: {error}") from error


def _names(groups: Sequence[_Group]) -> dict[str, str]:
    """By folded name, in the files' order."""
    names: dict[str, str] = {}
    for group in groups:
        for name, _ in group.columns:
            names.setdefault(fold(name), name)
    return names


def _type_of(rows: Rows, name: str, folded: str, groups: Sequence[_Group]) -> str:
    types = {kind: group for group in groups for own, kind in group.columns if fold(own) == folded}
    both = united(types)
    kinds = " and ".join(f"{kind} in {group.example}" for kind, group in types.items())
    if both is None:
        raise StatementFailed(f"column {name} is {kinds}, and no type holds the values of both exactly")
    if both.proved:
        return both.type
    for kind in types:
        if kind != both.type and any(_loses(rows, name, folded, kind, both.type, group) for group in groups):
            raise StatementFailed(f"column {name} is {kinds}, and {both.type} cannot hold all values exactly")
    return both.type


def _loses(rows: Rows, name: str, folded: str, kind: str, into: str, group: _Group) -> bool:
    own = [each for each, its in group.columns if fold(each) == folded and its == kind]
    if not own:
        return False
    written = f"cast({_quoted(own[0])} as varchar)"
    kept = keeps(column("written"), parse_type(into)).sql(dialect="duckdb")
    query = f"select 1 from (select {written} as written from {group.source}) where not {kept} limit 1"  # noqa: S608 - quoted
    return bool(rows(query))


def _selected(group: _Group, names: dict[str, str], types: dict[str, str]) -> str:
    own = {fold(name): (name, kind) for name, kind in group.columns}
    selected = []
    for folded, name in names.items():
        if folded not in own:
            value = f"cast(null as {types[folded]})"
        elif own[folded][1] == types[folded]:
            value = _quoted(own[folded][0])
        else:
            value = f"cast({_quoted(own[folded][0])} as {types[folded]})"
        selected.append(f"{value} as {_quoted(name)}")
    return f"select {', '.join(selected)} from {group.source}"  # noqa: S608 - quoted


def _all(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


def _listed(files: Sequence[Path]) -> str:
    return f"[{', '.join(map(_escaped, files))}]"


def _escaped(file: Path) -> str:
    """Escapes a path, because DuckDB treats every path as a glob."""
    return _literal(glob.escape(str(file)))


def _literal(value: str) -> str:
    return text(value).sql(dialect="duckdb")


def _quoted(name: str) -> str:
    return column(name).sql(dialect="duckdb")
