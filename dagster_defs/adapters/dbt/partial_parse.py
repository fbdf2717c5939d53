"""What dbt keeps of a parse, handed to a run with other variables, so that the run does not parse again.

dbt parses everything again if `--vars` differ from those of the parse it has kept, which it sees by a digest. A
project that no window shapes has the same manifest with any, so the kept parse gets the digest of the run's variables.
How dbt makes that digest is not documented. So it is made for the parse that is there first: a dbt that makes another
one is left to parse again.
"""

from __future__ import annotations

import hashlib
import pprint
from collections.abc import Mapping
from typing import Any

FILE = "partial_parse.msgpack"


def handed_on(
    kept: bytes,
    parsed_with: Mapping[str, Any],
    variables: Mapping[str, Any],
    target: str,
    profile: str,
    version: str,
) -> bytes | None:
    """The kept parse for a run with these variables, of the same target and version of dbt; None if dbt's digest is
    not one that is known here. `profile`: as the project names it."""
    for name in ("", profile):  # until 1.11 the one on the command line, where there is none
        before, after = (_digest(each, name, target, version) for each in (parsed_with, variables))
        if kept.count(before) == 1:
            return kept.replace(before, after)
    return None


def _digest(variables: Mapping[str, Any], profile: str, target: str, version: str) -> bytes:
    """As `ManifestLoader.build_manifest_state_check` in dbt/parser/manifest.py, for a project without a vars.yml."""
    parts = (pprint.pformat(dict(variables)), profile, target, version)
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest().encode()
