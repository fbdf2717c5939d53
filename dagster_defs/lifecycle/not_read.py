"""What is not known because nobody has looked: a value of its own, so that no type takes it for "there is none"."""

from __future__ import annotations

from enum import Enum


class NotRead(Enum):
    """Closes the gates that need the fact. True as any object is: only `is NOT_READ` tells it apart."""

    NOT_READ = "not read"


NOT_READ = NotRead.NOT_READ
