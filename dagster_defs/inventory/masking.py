"""Values of a task's environment in a form that can be shown: what looks like a secret is masked."""

from __future__ import annotations

import re

MASK = "***"
_SHOWN = 60  # characters of a value

_SECRET_NAMES = re.compile(
    r"pass|pwd|secret|token|credential|(^|_)(api|access|private|secret|encryption|signing|account|fernet)?_?keys?($|_)"
    r"|auth|cookie|session|salt|dsn|webhook|(^|_)(cert|pem|jwt|sas|pat)($|_)|conn(ection)?_(str|uri|url)",
    re.IGNORECASE,
)
_SECRET_VALUES = re.compile(
    r"://[^/\s]*@"  # a password in an address
    r"|-----BEGIN|(password|pwd|secret|token|key|signature|sig)\s*[=:]"
    r"|\b(gh[opsur]_|glpat-|xox[abprs]-|AKIA|ASIA|sk-|eyJ)",
    re.IGNORECASE,
)
# Long and without a word in it: a key, whatever its name.
_RANDOM = re.compile(r"(?=[A-Za-z0-9+/_=-]*[0-9])(?=[A-Za-z0-9+/_=-]*[A-Za-z])[A-Za-z0-9+/_=-]{24,}")


def holds_secret(text: str) -> bool:
    """Whether a text has the look of a password, a token or an address with one, or is masked already."""
    return MASK in text or _SECRET_VALUES.search(text) is not None


def shown(name: str, value: str) -> str:
    """The value, truncated if it is long; `***` if its name or the value itself suggests a secret."""
    if _SECRET_NAMES.search(name) or _SECRET_VALUES.search(value) or _RANDOM.search(value):
        return MASK
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
