"""Text from outside (names, reasons, errors, rows, answers), made safe to show: it is read, and nothing else.

Everything that a person sees passes through here last: a terminal must not obey it, and neither Markdown nor HTML in
Dagster's web pages may come alive in it. What it says stays legible: it is escaped, never dropped.
"""

import re

# Control characters but for the line feed and the tab; what turns the reading direction or hides itself; halves of
# surrogate pairs, which no encoding can write.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
# CommonMark and GitHub's tables, strike-through and bare links. An underscore within a word is no emphasis.
_LIVE = re.compile(
    r"[\\`*\[\]|~<>&{}$]|(?<![^\W_])_|_(?![^\W_])|!(?=\[)|(?<=[A-Za-z]):(?=//)|(?<=\bwww)\.|(?<=\S)@(?=\S)"
)
_BLOCK = re.compile(r"^(?P<indent>[ \t]*)(?P<mark>[#+=-]|\d+(?=[.)]))", re.MULTILINE)


def visible(text: str) -> str:
    """The text with each unsafe character as its escape, such as `\\u001b`; the same text if there is none."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def markdown(text: str) -> str:
    """Markdown that reads as the text does, and has no markup, link, image, HTML or block of its own."""
    lines = [line.strip(" \t") for line in _LIVE.sub(r"\\\g<0>", visible(text)).split("\n")]
    return _BLOCK.sub(_without_block, "\n".join(lines))


def code_block(text: str, language: str = "") -> str:
    """A fenced block that no run of backticks in the text can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{visible(text)}\n{fence}"


def _without_block(found: re.Match[str]) -> str:
    mark = found["mark"]
    return f"{found['indent']}{mark}\\" if mark.isdigit() else f"{found['indent']}\\{mark}"
