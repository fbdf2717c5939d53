"""The syntax of a shell script: its tree, and what its kinds of statements mean to `set -e`."""

from __future__ import annotations

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_bash.language()))
# Inside a list, a group or a loop, an error has either ended it already or been forgiven.
ENDS_ON_ERROR = frozenset(
    {"command", "pipeline", "subshell", "test_command", "variable_assignment", "variable_assignments"}
)


def parse(script: str) -> Node:
    return _PARSER.parse(script.encode()).root_node
