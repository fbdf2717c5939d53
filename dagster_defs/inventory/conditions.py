"""The truth of a shell's `[ … ]` and `[[ … ]]`."""

from __future__ import annotations

from tree_sitter import Node

from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.words import Expander, Scope, compare


def truth_of(node: Node, scope: Scope, expand: Expander, holes: Holes) -> bool | None:
    """Whether a test is true; None if that is not known."""
    if (node.text or b"").startswith(b"((") or node.has_error:
        return None
    if node.type == "binary_expression" and len(node.children) == 3:
        left, symbol, right = node.children
        sign = (symbol.text or b"").decode()
        if sign in ("&&", "||", "-a", "-o"):
            both = (truth_of(left, scope, expand, holes), truth_of(right, scope, expand, holes))
            if None in both:
                return None
            return all(both) if sign in ("&&", "-a") else any(both)
        texts = expand.text(left, scope), expand.text(right, scope)
        return None if any(map(holes.in_text, texts)) else compare(texts[0], sign, texts[1])
    if node.type == "unary_expression":
        sign = (node.children[0].text or b"").decode()
        if sign == "!":
            inner = truth_of(node.children[-1], scope, expand, holes)
            return None if inner is None else not inner
        text = expand.text(node.children[-1], scope)
        if sign in ("-z", "-n") and not holes.in_text(text):
            return bool(text) == (sign == "-n")
        return None
    if node.type == "parenthesized_expression":
        return truth_of(node.named_children[0], scope, expand, holes)
    text = expand.text(node, scope)
    return None if holes.in_text(text) else bool(text)
