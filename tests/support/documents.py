"""A document, taken apart: sections, fenced blocks, prose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Document:
    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """The text without fenced blocks."""
        return re.sub(r"^ *```.*?^ *```$", "", self.text, flags=re.DOTALL | re.MULTILINE)

    def section(self, heading: str) -> str:
        """The text from a heading to the next one of the same or a higher level."""
        level = len(heading) - len(heading.lstrip("#"))
        match = re.search(
            rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{level}}} |\Z)", self.text, re.DOTALL | re.MULTILINE
        )
        assert match, f"{self.path.name} has no heading {heading!r}"
        return match[1]

    def blocks(self, language: str) -> list[str]:
        """The fenced blocks of one language, without the indentation of a list around them."""
        return fenced(self.text, language)


def fenced(text: str, language: str) -> list[str]:
    match = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in match]


def all_documents() -> list[Document]:
    below = [path for folder in ("docs", "deploy") for path in (ROOT / folder).rglob("*.md")]
    return [Document(path) for path in sorted([*ROOT.glob("*.md"), *below])]


def document(path: str) -> Document:
    """The document at a path in the repository."""
    return Document(ROOT / path)
