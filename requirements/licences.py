"""Prints the licences of everything that the wheel `airflow-parity` brings with it, as a table in Markdown.

`make licences` writes the table to licences.md. What each package says of itself is quoted, from its metadata.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT, NOT_IN_THE_WHEEL = "airflow-parity", {"dev"}
HEAD = """\
# Licences of the dependencies

What `pip install airflow-parity` brings, and what each extra adds, on Linux with Python 3.11. The licence is what the
package's own metadata says. `make licences` writes this file.

| package | licence | comes with |
|---|---|---|
"""


def needed(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    """What an installed package needs on this machine."""
    for text in metadata.requires(name) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
            yield requirement


def closure(extra: str) -> set[str]:
    """The names of all packages that the wheel needs with one extra; an empty text for none."""
    found: set[str] = set()
    asked: set[tuple[str, frozenset[str]]] = set()
    pending = [(ROOT, frozenset({extra}))]
    while pending:
        name, extras = pending.pop()
        if (name, extras) in asked:
            continue
        asked.add((name, extras))
        for requirement in needed(name, extras):
            needs = canonicalize_name(requirement.name)
            found.add(needs)
            pending.append((needs, frozenset(requirement.extras)))
    return found - {ROOT}


def licence(name: str) -> str:
    """An SPDX expression where the package has one, or else its own words, or the classifiers'."""
    about: Any = metadata.metadata(name)
    said = str(about.get("License-Expression") or "")
    words = " ".join(str(about.get("License") or "").split())
    classified = [
        classifier.rpartition(" :: ")[2]
        for classifier in about.get_all("Classifier") or ()
        if classifier.startswith("License ::") and not classifier.endswith("OSI Approved")
    ]
    if not said and words and len(words) < 60 and words.lower() not in ("unknown", "none"):
        said = words
    return (
        (said or " or ".join(classified) or "not said: see the package")
        .rpartition(" :: ")[2]
        .replace("|", "/")
    )


def table() -> str:
    wheel = metadata.metadata(ROOT)
    extras = sorted(set(wheel.get_all("Provides-Extra") or ()) - NOT_IN_THE_WHEEL)
    with_base = closure("")
    comes_with = {name: ["the wheel"] for name in with_base}
    for extra in extras:
        for name in closure(extra) - with_base:
            comes_with.setdefault(name, []).append(f"`{extra}`")
    rows = (f"| {name} | {licence(name)} | {', '.join(comes_with[name])} |" for name in sorted(comes_with))
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
