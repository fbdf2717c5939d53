"""Makes text from outside (names, reasons, errors, rows, answers) safe to show.

Everything shown to a person passes through here last: a terminal must not obey it, and Dagster's web pages must not
interpret it as Markdown or HTML. The text stays legible: characters are escaped, never dropped.
"""

import re

# Control characters other than line feed and tab; characters that are invisible or change the reading direction; halves
# of surrogate pairs, which cannot be encoded.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
# CommonMark plus GitHub's tables, strike-through and bare links. An underscore inside a word is not emphasis.
_LIVE = re.compile(
    r"[\\`*\[\]|~<>&{}$]|(?<![^\W_])_|_(?![^\W_])|!(?=\[)|(?<=[A-Za-z]):(?=//)|(?<=\bwww)\.|(?<=\S)@(?=\S)"
)
_BLOCK = re.compile(r"^(?P<indent>[ \t]*)(?P<mark>[#+=-]|\d+(?=[.)]))", re.MULTILINE)


def visible(text: str) -> str:
    """The text with each unsafe character replaced by its escape, such as `\\u001b`."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def markdown(text: str) -> str:
    """Markdown that renders as the plain text, without any markup, link, image, HTML or block of its own."""
    lines = [line.strip(" \t") for line in _LIVE.sub(r"\\\g<0>", visible(text)).split("\n")]
    return _BLOCK.sub(_without_block, "\n".join(lines))


def code_block(text: str, language: str = "") -> str:
    """A fenced block that no run of backticks in the text can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{visible(text)}\n{fence}"


def _without_block(match: re.Match[str]) -> str:
    mark = match["mark"]
    return f"{match['indent']}{mark}\\" if mark.isdigit() else f"{match['indent']}\\{mark}"
