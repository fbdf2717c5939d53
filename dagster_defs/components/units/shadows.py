"""Keys of what a candidate run writes."""

import dagster as dg

from dagster_defs.adapters.dagster.evidence import SHADOW


def shadow_key(key: dg.AssetKey) -> dg.AssetKey:
    """The key of the same thing on the candidate side."""
    return key.with_prefix(SHADOW)


def legacy_key(key: dg.AssetKey) -> dg.AssetKey:
    """The key on the legacy side of what a candidate run writes under this one."""
    return dg.AssetKey(key.path[1:])


def is_shadow(key: dg.AssetKey) -> bool:
    """Whether a candidate run writes it."""
    return key.path[0] == SHADOW
