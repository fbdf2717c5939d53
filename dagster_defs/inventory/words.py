"""How a shell turns text into words: quotes, variables, substitutions, splitting."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tree_sitter import Node

from dagster_defs.inventory.holes import HoleKind, Holes

_EXPANSIONS = frozenset(
    {"simple_expansion", "expansion", "command_substitution", "arithmetic_expansion", "process_substitution"}
)
_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
}


@dataclass(slots=True)
class Scope:
    """What a shell knows at one point: variables (`exported` are those that a program sees), its folder, and the exit
    statuses of its background `jobs` by their numbers, the last one last."""

    variables: dict[str, str] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    positional: tuple[str, ...] = ()
    status: int = 0
    jobs: dict[str, int] = field(default_factory=dict)
    arrays: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pipe_status: tuple[int, ...] = (0,)
    cwd: str = ""
    errexit: bool = False
    pipefail: bool = False

    def copy(self) -> Scope:
        return Scope(
            dict(self.variables),
            set(self.exported),
            self.positional,
            self.status,
            dict(self.jobs),
            dict(self.arrays),
            self.pipe_status,
            self.cwd,
            self.errexit,
            self.pipefail,
        )


# One piece of a word, and whether its blanks separate words.
Piece = tuple[str, bool]


class Expander:
    """Expands nodes of the syntax tree in a scope. `substitute` runs a command substitution and returns what it prints,
    or None if that is not known."""

    def __init__(self, holes: Holes, substitute: Callable[[Node, Scope], str | None]) -> None:
        self._holes = holes
        self._substitute = substitute

    def words(self, node: Node, scope: Scope) -> list[str]:
        """None, one or several words: unquoted variables are split at blanks, as the shell does."""
        if node.type in ("string", "simple_expansion") and _text(node).strip('"') in ("$@", "$*"):
            return list(scope.positional)
        if (elements := _known_array(node, scope)) is not None:
            return list(elements)
        if (alternatives := _brace_alternatives(node)) is not None:
            return alternatives
        words: list[str] = []
        current: str | None = None
        for text, splits in self._pieces(node, scope):
            if not splits:
                current = (current or "") + text
                continue
            parts = text.split()
            if text[:1].isspace() and current is not None:
                words.append(current)
                current = None
            for number, part in enumerate(parts):
                if number:
                    words.append(current or "")
                    current = None
                current = (current or "") + part
            if parts and text[-1:].isspace():
                words.append(current or "")
                current = None
        return [*words, current] if current is not None else words

    def text(self, node: Node, scope: Scope) -> str:
        """The node as a single word, whatever blanks it contains: to the right of an assignment, in a test, in a
        here-document."""
        return "".join(text for text, _ in self._pieces(node, scope))

    def _pieces(self, node: Node, scope: Scope) -> list[Piece]:
        kind, raw = node.type, _text(node)
        if kind == "raw_string":
            return [(raw[1:-1], False)]
        if kind == "ansi_c_string":
            return [(_unescape_ansi(raw[2:-1]), False)]
        if kind == "string":
            return [(self._quoted(node, scope), False)]
        if kind == "translated_string":
            return [piece for child in node.named_children for piece in self._pieces(child, scope)]
        if kind in ("concatenation", "command_name"):
            return [piece for child in node.children for piece in self._pieces(child, scope)]
        if kind in _EXPANSIONS:
            return [(self._expansion(node, scope), True)]
        return [(_unescape_word(raw), False)]

    def _quoted(self, node: Node, scope: Scope) -> str:
        source = node.text or b""
        return self._expanded(node, scope, source[:-1], _unescape_quoted, start=1)

    def _expanded(
        self, node: Node, scope: Scope, source: bytes, plain: Callable[[str], str] = str, *, start: int = 0
    ) -> str:
        """The text of `source` from `start` on, with `node`'s expansions carried out; `plain` reads the rest.

        Text between two expansions is taken by its position, because the tree leaves out blanks at the edges.
        """
        text, at = "", start
        for child in node.children:
            if child.type in _EXPANSIONS:
                begin, end = child.start_byte - node.start_byte, child.end_byte - node.start_byte
                text, at = text + plain(source[at:begin].decode()) + self._expansion(child, scope), end
        return text + plain(source[at:].decode())

    def heredoc(self, node: Node, scope: Scope) -> str:
        """The text of a here-document."""
        start = next(child for child in node.named_children if child.type == "heredoc_start")
        body = next((child for child in node.named_children if child.type == "heredoc_body"), None)
        if body is None:
            return ""
        if _text(start)[:1] in "'\"\\":
            return _text(body)
        return self._expanded(body, scope, body.text or b"")

    def _expansion(self, node: Node, scope: Scope) -> str:
        raw = _text(node)
        value: str | None = None
        if node.type == "simple_expansion":
            value = self._variable(raw[1:], scope)
        elif node.type == "expansion":
            value = self._braced(node, scope)
        elif node.type == "command_substitution":
            value = self._substitute(node, scope)
        elif node.type == "arithmetic_expansion":
            number = arithmetic(raw.removeprefix("$((").removesuffix("))"), scope)
            value = None if number is None else str(number)
        return self._holes.dig(raw, HoleKind.SHELL) if value is None else value

    def _variable(self, name: str, scope: Scope) -> str | None:
        if name == "?":
            return str(scope.status)
        if name in ("@", "*"):
            return " ".join(scope.positional)
        if name == "#":
            return str(len(scope.positional))
        if name.isdigit() and name != "0":
            return scope.positional[int(name) - 1] if int(name) <= len(scope.positional) else ""
        if name == "!":
            return next(reversed(scope.jobs), None)
        if name == "PWD":
            return scope.cwd or None
        return scope.variables.get(name)

    def _braced(self, node: Node, scope: Scope) -> str | None:
        name_node = node.named_children[0] if node.named_children else None
        if name_node is None:
            return None
        name = _text(name_node)
        if name.startswith("PIPESTATUS["):
            index = name[len("PIPESTATUS[") : -1]
            known = index.isdigit() and int(index) < len(scope.pipe_status)
            return str(scope.pipe_status[int(index)]) if known else None
        value = self._variable(name, scope)
        rest = _text(node)[2 + len(name) : -1]
        if not rest:
            return value
        symbol = rest[: 2 if rest.startswith(":") else 1]
        default = "".join(self.text(child, scope) for child in node.named_children[1:])
        if symbol in (":+", "+"):
            return default if value else ("" if value is not None else None)
        if symbol in (":-", "-", ":=", "=", ":?", "?") and value is not None and (value or symbol[0] != ":"):
            return value
        # A default applies if the variable is not set, but the machine that runs the script may well set it.
        return None


def _known_array(node: Node, scope: Scope) -> tuple[str, ...] | None:
    """The words of `"${NAME[@]}"`; None for anything else, and for an array that is not known."""
    text = _text(node).strip('"')
    name = text.removeprefix("${").removesuffix("[@]}").removesuffix("[*]}")
    return scope.arrays.get(name) if text in (f"${{{name}[@]}}", f"${{{name}[*]}}") else None


def _brace_alternatives(node: Node) -> list[str] | None:
    """The words of `a{b,c}d` if it contains nothing else to expand; None if a shell would not expand braces."""
    text = _text(node)
    before, opens, rest = text.partition("{")
    inside, closes, after = rest.partition("}")
    if node.type not in ("word", "concatenation") or not (opens and closes) or "," not in inside:
        return None
    if any(sign in text for sign in "$'\"\\`") or "{" in inside + after:
        return None
    return [before + part + after for part in inside.split(",")]


def arithmetic(expression: str, scope: Scope) -> int | None:
    """The value of `$(( … ))` over known numbers; None for anything else."""
    try:
        tree = ast.parse(
            expression.replace("$", "").replace("||", " or ").replace("&&", " and "), mode="eval"
        )
        return int(_number(tree.body, scope))
    except (SyntaxError, KeyError, ValueError, TypeError, ZeroDivisionError):
        return None


_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
    ast.GtE: operator.ge,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def _number(node: ast.expr, scope: Scope) -> int:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name):
            return int(scope.variables[name])
        case ast.BinOp(left=left, op=symbol, right=right):
            return int(_OPERATORS[type(symbol)](_number(left, scope), _number(right, scope)))
        case ast.Compare(left=left, ops=[symbol], comparators=[right]):
            return int(_OPERATORS[type(symbol)](_number(left, scope), _number(right, scope)))
        case ast.BoolOp(op=symbol, values=values):
            known = [bool(_number(value, scope)) for value in values]
            return int(any(known) if isinstance(symbol, ast.Or) else all(known))
    raise ValueError(ast.dump(node))


def compare(left: str, symbol: str, right: str) -> bool | None:
    """One comparison of `test`, `[` or `[[`; None if its outcome is not known."""
    numbers: dict[str, Callable[[int, int], bool]] = {
        "-eq": operator.eq,
        "-ne": operator.ne,
        "-gt": operator.gt,
        "-ge": operator.ge,
        "-lt": operator.lt,
        "-le": operator.le,
    }
    if symbol in numbers:
        try:
            return numbers[symbol](int(left), int(right))
        except ValueError:
            return None
    if symbol in ("=", "=="):
        return left == right
    return left != right if symbol == "!=" else None


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _unescape_word(text: str) -> str:
    return _unescape(text, lambda char: "" if char == "\n" else char)


def _unescape_quoted(text: str) -> str:
    return _unescape(text, lambda char: "" if char == "\n" else char if char in '$`"\\' else "\\" + char)


def _unescape_ansi(text: str) -> str:
    return _unescape(text, lambda char: _ESCAPES.get(char, "\\" + char))


def _unescape(text: str, meaning: Callable[[str], str]) -> str:
    """The text with `meaning(char)` for each backslash and the character after it; a last backslash is dropped."""
    result, escaped = "", False
    for char in text:
        if escaped:
            result += meaning(char)
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            result += char
    return result
