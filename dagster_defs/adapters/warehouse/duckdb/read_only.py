"""A DuckDB target of a dbt profile on connections that cannot write and are not retried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def output(written: Mapping[str, Any]) -> dict[str, Any]:
    options = {**(written.get("config_options") or {}), "access_mode": "READ_ONLY"}
    attached = [_attached(each) for each in written.get("attach") or ()]
    kept = {name: value for name, value in written.items() if name not in ("retries", "attach")}
    return {**kept, "config_options": options, **({"attach": attached} if attached else {})}


def _attached(attachment: Mapping[str, Any]) -> dict[str, Any]:
    options = {
        name: value for name, value in (attachment.get("options") or {}).items() if name != "read_only"
    }
    return {**attachment, "read_only": True, **({"options": options} if options else {})}
