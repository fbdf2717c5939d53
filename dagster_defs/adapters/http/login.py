"""How a server lets this program in: user and password, a token, a token endpoint, a session of Amazon MWAA, headers,
or a team's function.

Whatever is asked for is kept for the process, and asked for again once a server answers 401.
"""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dagster_defs.errors import BadLogin

DAGSTER_PLUS = "Dagster-Cloud-Api-Token"
_KEPT: dict[tuple[Login, str], Mapping[str, str]] = {}  # the headers that were asked for
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Login:
    """`name`: what the variables begin with that say so, for messages. `token`: a bearer token. `token_url`: where user
    and password are exchanged for one. `headers`: of every request. `function`: `module:function`, which is given the
    server's address and returns headers. `mwaa`: the name of an environment of Amazon MWAA. `ca`: the file of the CAs
    that vouch for the server. `cert`: the file of a client certificate, or that file and its key's, with a comma
    between them."""

    name: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_url: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    function: str = ""
    ca: str = ""
    cert: str = ""
    mwaa: str = ""

    @classmethod
    def of(cls, name: str, values: Mapping[str, str]) -> Login:
        """`values`: by the rest of the variables' names. Raises BadLogin for what cannot be understood."""
        ways = [way for way in ("TOKEN", "TOKEN_URL", "LOGIN", "MWAA") if values.get(way)]
        if len(ways) > 1:
            both = " and ".join(f"{name}_{way}" for way in ways)
            raise BadLogin(name, f"{both} are set, and each is a way of its own", "Keep one of them")
        if values.get("TOKEN_URL") and not values.get("USER"):
            raise BadLogin(f"{name}_TOKEN_URL", "it exchanges a user and a password", f"Set {name}_USER, too")
        return cls(
            name,
            values.get("USER", ""),
            values.get("PASSWORD", ""),
            values.get("TOKEN", ""),
            values.get("TOKEN_URL", ""),
            _headers(f"{name}_HEADERS", values.get("HEADERS", "")),
            values.get("LOGIN", ""),
            values.get("CA", ""),
            values.get("CERT", ""),
            values.get("MWAA", ""),
        )

    @property
    def basic(self) -> tuple[str, str] | None:
        """User and password, unless they are for the token endpoint, or something else lets this program in."""
        if self.token or self.renews or not (self.user or self.password):
            return None
        return self.user, self.password

    @property
    def renews(self) -> bool:
        return bool(self.token_url or self.function or self.mwaa)

    def headers_for(
        self, server: str, exchange: Callable[[], str], *, anew: bool = False
    ) -> Mapping[str, str]:
        """The headers of a request to `server`. `exchange`: user and password for a token; `anew`: what was kept has
        expired.

        Raises BadLogin, and what `exchange` raises.
        """
        own = dict(self.headers)
        if self.token:
            return {**own, **_bearer(self.token)}
        if not self.renews:
            return own
        with _LOCK:
            key = (self, server)
            if anew or key not in _KEPT:
                _KEPT[key] = self._asked_for(server, exchange)
            return {**own, **_KEPT[key]}

    def _asked_for(self, server: str, exchange: Callable[[], str]) -> Mapping[str, str]:
        if self.mwaa:
            from dagster_defs.adapters.http.mwaa import session_of

            return session_of(self.mwaa, server, f"{self.name}_MWAA")
        return self._called(server) if self.function else _bearer(exchange())

    def _called(self, server: str) -> Mapping[str, str]:
        where, (module, colon, name) = f"{self.name}_LOGIN", self.function.partition(":")
        remedy = "Write module:function, of a module that can be imported where this runs"
        if not (module and colon and name):
            raise BadLogin(where, f"{self.function!r} names no function", remedy)
        try:
            headers: Any = getattr(importlib.import_module(module), name)(server)
        except (ImportError, AttributeError) as error:
            raise BadLogin(where, str(error), remedy) from error
        except Exception as error:  # it is the team's code
            raise BadLogin(
                where, f"{self.function} raised {type(error).__name__}: {error}", "Correct it"
            ) from error
        texts = (
            [each for pair in headers.items() for each in pair] if isinstance(headers, Mapping) else [None]
        )
        if not all(isinstance(each, str) for each in texts):
            what = f"{self.function} returned {type(headers).__name__}"
            raise BadLogin(where, what, "Return a mapping of texts, the headers")
        return dict(headers)


def _bearer(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _headers(name: str, text: str) -> tuple[tuple[str, str], ...]:
    if not text:
        return ()
    remedy = 'Write a JSON object, such as {"X-Api-Key": "…"}'
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadLogin(name, "it is not JSON", remedy) from error
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        raise BadLogin(name, "it is not an object of texts", remedy)
    return tuple(sorted(document.items()))
