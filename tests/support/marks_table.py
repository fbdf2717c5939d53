"""Odd mark files, and what each of them means: one table for both sides of the hand-over."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

DAG = "taxi_daily"
NOT_B = ("c", "b2", "d", "anything")


@dataclass(frozen=True)
class Odd:
    """`honoured`: marks that count. `doubted`: tasks whose mark is unknown, None for all. `said`: part of a problem."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    make: Callable[[Path], None] = lambda folder: None
    whole: bool | None = None
    honoured: Mapping[str, bool] = field(default_factory=dict)
    doubted: tuple[str, ...] | None = ()
    said: str = ""


def yaml(text: str | bytes, name: str = f"{DAG}.yaml") -> Mapping[str, bytes]:
    return {name: text.encode() if isinstance(text, str) else text}


def broken(text: str | bytes, message: str) -> Odd:
    return Odd(yaml(text), doubted=None, said=message)


def entry(text: str, message: str, *doubted: str) -> Odd:
    """A good entry for `b`, next to a wrong one."""
    return Odd(
        yaml(f"tasks:\n- {{id: b, proxied: true}}\n{text}\n"),
        honoured={"b": True},
        doubted=doubted,
        said=message,
    )


def _folder(folder: Path) -> None:
    (folder / f"{DAG}.yaml").mkdir()


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / f"{DAG}.yaml")


def _link_to_nowhere(folder: Path) -> None:
    (folder / f"{DAG}.yaml").symlink_to(folder / "gone.yaml")


def _link_to_itself(folder: Path) -> None:
    (folder / f"{DAG}.yaml").symlink_to(folder / f"{DAG}.yaml")


def _endless(folder: Path) -> None:
    (folder / f"{DAG}.yaml").symlink_to("/dev/zero")


def _link(folder: Path) -> None:
    (folder / "..data").mkdir()
    (folder / "..data" / "marks").write_text("tasks:\n- {id: b, proxied: true}\n")
    (folder / f"{DAG}.yaml").symlink_to("..data/marks")


GOOD = "tasks:\n- {id: b, proxied: true}\n- {id: c, proxied: false}\n"
B_AND_C = {"b": True, "c": False}
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghij")
)

TABLE: dict[str, Odd] = {
    "none": Odd(),
    "good": Odd(yaml(GOOD), honoured=B_AND_C),
    "yml": Odd(yaml(GOOD, f"{DAG}.yml"), honoured=B_AND_C),
    "bom": Odd(yaml("\ufeff" + GOOD), honoured=B_AND_C),
    "windows-line-ends": Odd(yaml(GOOD.replace("\n", "\r\n")), honoured=B_AND_C),
    "json": Odd(yaml('{"tasks": [{"id": "b", "proxied": true}, {"id": "c", "proxied": false}]}'), honoured=B_AND_C),
    "more-keys": Odd(yaml("version: 3\n" + GOOD.replace("true", "true, since: 2024-03-09")), honoured=B_AND_C),
    "yaml-1.1-words": Odd(yaml("tasks:\n- {id: b, proxied: on}\n- {id: c, proxied: No}\n"), honoured=B_AND_C),
    "same-twice": Odd(yaml(GOOD + "- {id: b, proxied: true}\n"), honoured=B_AND_C),
    "whole": Odd(yaml("proxied: true\n"), whole=True),
    "whole-not": Odd(yaml("proxied: false\n"), whole=False),
    "positions": Odd(yaml(GOOD + "positions: {b: 17, gone: 3}\n"), honoured=B_AND_C),
    "no-entries": Odd(yaml("tasks: []\n")),
    "mounted-link": Odd(make=_link, honoured={"b": True}),
    "other-case": Odd(yaml(GOOD, f"{DAG.title()}.yaml")),
    "other-dag-is-broken": Odd({**yaml(GOOD), "other.yaml": b"\xff[", "x.yml": b"tasks: 3"}, honoured=B_AND_C),
    "left-over-beside": Odd({**yaml(GOOD), f"{DAG}.yaml.broken-1": b"[", f".{DAG}.x.tmp": b"["}, honoured=B_AND_C),
    # No mark of these files counts.
    "both-suffixes": Odd({**yaml(GOOD), **yaml(GOOD, f"{DAG}.yml")}, doubted=None, said="keep one"),
    "no-text": broken(b"tasks: \xff\xfe", "it is not UTF-8 text (byte 7)"),
    "utf-16": broken(GOOD.encode("utf-16"), "it is not UTF-8 text (byte 0)"),
    "nul": broken(b"tasks:\n- {id: b\x00, proxied: true}\n", "cannot be read"),
    "empty": broken("", "neither, or both"),
    "comment": broken("# tasks:\n", "neither, or both"),
    "list": broken("- {id: b, proxied: true}\n", "neither, or both"),
    "text": broken("tasks", "neither, or both"),
    "both-keys": broken("proxied: true\n" + GOOD, "neither, or both"),
    "tasks-twice": broken(GOOD + GOOD, "says `tasks` 2 times"),
    "proxied-twice": broken("proxied: true\nproxied: false\n", "says `proxied` 2 times"),
    "positions-listed": broken(GOOD + "positions: [17]\n", "`positions` is not a mapping"),
    "positions-twice": broken(GOOD + "positions: {b: 1}\npositions: {b: 2}\n", "says `positions` 2 times"),
    "whole-as-text": broken("proxied: 'true'\n", "neither true nor false"),
    "whole-as-number": broken("proxied: 1\n", "neither true nor false"),
    "tasks-null": broken("tasks:\n", "`tasks` is not a list"),
    "tasks-mapping": broken("tasks: {b: true}\n", "`tasks` is not a list"),
    "half-a-file": broken(GOOD[:20], "cannot be read"),
    "two-documents": broken("---\n" + GOOD + "---\n" + GOOD, "cannot be read"),
    "alias": broken("tasks:\n- &b {id: b, proxied: true}\n- *b\n", "anchors and aliases"),
    "bomb": broken(BOMB, "anchors and aliases"),
    "merge": broken("tasks:\n- {<<: {id: b}, proxied: true}\n", "`<<` is not read"),
    "tag": broken("tasks:\n- {id: b, proxied: !!bool 'true'}\n", "the tag"),
    "object-tag": broken("!!python/object/apply:os.system ['true']\n", "the tag"),
    "nested": broken("tasks: " + "[" * 10_000, "nested more than 16"),
    "nested-block": broken("- " * 10_000, "nested more than 16"),
    "nested-mappings": broken("{a: " * 10_000, "nested more than 16"),
    "huge": broken(GOOD + "#" * (1 << 18), "is larger than 262,144 bytes"),
    "folder": Odd(make=_folder, doubted=None, said="is not a regular file"),
    "pipe": Odd(make=_pipe, doubted=None, said="is not a regular file"),
    "endless": Odd(make=_endless, doubted=None, said="is not a regular file"),
    "link-to-nowhere": Odd(make=_link_to_nowhere, doubted=None, said="cannot be read: No such file"),
    "link-to-itself": Odd(make=_link_to_itself, doubted=None, said="cannot be read: Too many levels"),
    # A wrong entry affects only its own task.
    "contradicted": entry("- {id: b2, proxied: true}\n- {id: b2, proxied: false}", "both as proxied and as not", "b2"),
    "position-word": entry("positions: {c: last}", "the position of 'c' is not a number", "c"),
    "position-null": entry("positions: {c: }", "the position of 'c' is not a number", "c"),
    "position-negative": entry("positions: {c: -1}", "the position of 'c' is not a number", "c"),
    "position-endless": entry(f"positions: {{c: {'9' * 5000}}}", "the position of 'c' is not a number", "c"),
    "position-twice": entry("positions: {c: 1, c: 2}", "the position of 'c' is not a number", "c"),
    "mark-as-text": entry('- {id: c, proxied: "True"}', "neither true nor false", "c"),
    "mark-as-number": entry("- {id: c, proxied: 1}", "neither true nor false", "c"),
    "mark-nan": entry("- {id: c, proxied: .nan}", "neither true nor false", "c"),
    "mark-null": entry("- {id: c, proxied: }", "neither true nor false", "c"),
    "mark-missing": entry("- {id: c}", "0 `proxied`", "c"),
    "mark-list": entry("- {id: c, proxied: [true]}", "neither true nor false", "c"),
    "mark-twice": entry("- {id: c, proxied: true, proxied: true}", "2 `proxied`", "c"),
    "id-twice": entry("- {id: c, id: d, proxied: true}", "2 `id`", "c", "d"),
    "id-number": entry("- {id: 5, proxied: true}", "is not text", "5"),
    "id-infinite": entry("- {id: 1.0e+400, proxied: true}\n- {id: .inf, proxied: true}", "is not text", ".inf"),
    "id-bool": entry("- {id: yes, proxied: true}", "is not text", "yes"),
    "id-date": entry("- {id: 2024-03-09, proxied: true}", "is not text", "2024-03-09"),
    "id-long-number": entry(f"- {{id: {'9' * 5000}, proxied: true}}", "is not text", "9" * 5000),
    "bad-beside-good": Odd(
        yaml("tasks:\n- {id: b, proxied: true}\n- {id: c, proxied: true}\n- {id: c, proxied: maybe}\n"),
        honoured={"b": True},
        doubted=("c",),
        said="neither true nor false",
    ),
    # An entry that names no task may have been meant for any task without another entry.
    "nameless-text": entry("- just text", "is not an `id`", *NOT_B),
    "nameless-list": entry("- [c, true]", "is not an `id`", *NOT_B),
    "nameless-mapping": entry("- {proxied: true}", "0 `id`", *NOT_B),
    "nameless-null": entry("- ", "is not an `id`", *NOT_B),
    "nameless-nested": entry("- {id: [c], proxied: true}", "is not text", *NOT_B),
}  # fmt: skip


def lay(folder: Path, odd: Odd) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in odd.files.items():
        (folder / name).write_bytes(data)
    odd.make(folder)
    return folder
