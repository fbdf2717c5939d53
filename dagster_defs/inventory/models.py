"""What a model's own code says about time: a window that it determines itself, and how it uses its bounds.

The code is Jinja over SQL: templates are first replaced by single words, then SQL's own tokens are examined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, TemplateSyntaxError, nodes
from sqlglot import tokenize
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from dagster_defs.inventory.holes import Holes
from dagster_defs.older_python import StrEnum
from dagster_defs.windows.budget import parse

_JINJA = Environment(autoescape=False, extensions=["jinja2.ext.do"])  # noqa: S701 - it never renders
_CLOCKS = frozenset(
    {"current_timestamp", "current_date", "current_time", "now", "getdate", "sysdate", "localtimestamp"}
)
_JINJA_CLOCKS = frozenset({"run_started_at", "now", "utcnow", "today", *_CLOCKS})


class UpperBound(StrEnum):
    INCLUSIVE = "inclusive"
    EXCLUSIVE = "exclusive"


@dataclass(frozen=True, slots=True)
class ModelTime:
    """`uppers` are the variables that the code uses as upper limits, and how."""

    watermark: bool = False
    wall_clock: bool = False
    uppers: tuple[tuple[str, UpperBound], ...] = ()


def time_in(raw_code: str) -> ModelTime:
    """Code that Jinja or SQL's tokenizer cannot read yields nothing."""
    holes = Holes()
    masked = holes.mask_template(raw_code)
    try:
        tree = parse(_JINJA, raw_code)
        tokens = tokenize(masked)
    except (TemplateSyntaxError, SqlglotError):
        return ModelTime()
    aliases = _aliases(tree)
    says = [_words_of(token, holes) for token in tokens]
    return ModelTime(
        _has_watermark(tokens, says) or _asks_for_watermark(tree),
        _has_clock(tokens, tree),
        tuple(_uppers(tokens, holes, aliases)),
    )


def _words_of(token: Token, holes: Holes) -> str:
    """The template text of a token that consists of one template, else empty."""
    inside = holes.in_text(token.text)
    return inside[0].text.strip("{}- \n") if len(inside) == 1 else ""


def _has_watermark(tokens: Sequence[Token], says: Sequence[str]) -> bool:
    """`max(…)` followed by `from {{ this }}`, before anything else is read from."""
    for number, token in enumerate(tokens):
        opens = number + 1 < len(tokens) and tokens[number + 1].token_type is TokenType.L_PAREN
        if token.text.lower() != "max" or not opens:
            continue
        for later in range(number, len(tokens) - 1):
            if tokens[later].token_type is TokenType.FROM:
                if says[later + 1].partition(".")[0] == "this":
                    return True
                break
    return False


def _asks_for_watermark(tree: nodes.Template) -> bool:
    """`run_query("select max(…) from " ~ this)`: a query that the template itself assembles."""
    for node in tree.find_all((nodes.Concat, nodes.Add, nodes.Mod)):
        texts = " ".join(str(part.value) for part in node.find_all(nodes.Const)).lower()
        names = {name.name for name in node.find_all(nodes.Name)}
        if "this" in names and "max(" in texts.replace(" (", "("):
            return True
    return False


def _has_clock(tokens: Sequence[Token], tree: nodes.Template) -> bool:
    if any(token.text.lower() in _CLOCKS and token.token_type is not TokenType.STRING for token in tokens):
        return True
    names = {node.name for node in tree.find_all(nodes.Name)}
    names |= {node.attr for node in tree.find_all(nodes.Getattr)}
    return not names.isdisjoint(_JINJA_CLOCKS)


def _aliases(tree: nodes.Template) -> Mapping[str, str]:
    """`{% set last = var('max_date') %}`: the template's names that stand for a variable."""
    aliases = {}
    for node in tree.find_all(nodes.Assign):
        names = _variables(node.node)
        if isinstance(node.target, nodes.Name) and len(names) == 1:
            aliases[node.target.name] = names[0]
    return aliases


def _variables(node: nodes.Node) -> list[str]:
    calls = (
        [node, *node.find_all(nodes.Call)]
        if isinstance(node, nodes.Call)
        else list(node.find_all(nodes.Call))
    )
    return [
        call.args[0].value
        for call in dict.fromkeys(calls)
        if isinstance(call, nodes.Call)
        and isinstance(call.node, nodes.Name)
        and call.node.name in ("var", "env_var")
        and call.args
        and isinstance(call.args[0], nodes.Const)
    ]


def _uppers(
    tokens: Sequence[Token], holes: Holes, aliases: Mapping[str, str]
) -> list[tuple[str, UpperBound]]:
    uppers = []
    for number, token in enumerate(tokens):
        for hole in holes.in_text(token.text):
            try:
                tree = parse(_JINJA, hole.text)
            except TemplateSyntaxError:
                continue
            names = _variables(tree)
            names += [aliases[node.name] for node in tree.find_all(nodes.Name) if node.name in aliases]
            how = _compared(tokens, number)
            uppers += [(name, how) for name in names if how is not None]
    return uppers


# What may stand between the operator and the value: parentheses, casts, type names.
_PASSED = frozenset(
    {TokenType.L_PAREN, TokenType.DATE, TokenType.TIMESTAMP, TokenType.VAR, TokenType.TIMESTAMPTZ}
)


def _compared(tokens: Sequence[Token], number: int) -> UpperBound | None:
    after = tokens[number + 1].token_type if number + 1 < len(tokens) else None
    if after in (TokenType.GTE, TokenType.GT):  # the bound stands on the left
        return UpperBound.INCLUSIVE if after is TokenType.GTE else UpperBound.EXCLUSIVE
    for back in range(number - 1, max(-1, number - 6), -1):
        kind = tokens[back].token_type
        if kind is TokenType.LTE:
            return UpperBound.INCLUSIVE
        if kind is TokenType.LT:
            return UpperBound.EXCLUSIVE
        if kind is TokenType.AND:
            return UpperBound.INCLUSIVE if _between(tokens, back) else None
        if kind not in _PASSED and tokens[back].text.lower() not in ("cast", "try_cast", "date", "timestamp"):
            return None
    return None


def _between(tokens: Sequence[Token], conjunction: int) -> bool:
    """Whether this AND belongs to a BETWEEN."""
    for back in range(conjunction - 1, max(-1, conjunction - 16), -1):
        kind = tokens[back].token_type
        if kind is TokenType.BETWEEN:
            return True
        if kind in (TokenType.AND, TokenType.OR, TokenType.WHERE):
            return False
    return False
