"""Reports as text or JSON: the only place that knows about colour and tables."""

from dagster_defs.render.text.alerts import print_watch
from dagster_defs.render.text.base import Steps, print_error, print_json, print_plain, say, warn
from dagster_defs.render.text.doctor import print_diagnosis
from dagster_defs.render.text.echoes import echoes_json, print_echo_test, print_echoes
from dagster_defs.render.text.keys import print_keys
from dagster_defs.render.text.moves import (
    continuity_json,
    print_backfills,
    print_continuity,
    print_moved,
    print_proposals,
    print_windows,
    proposals_json,
)
from dagster_defs.render.text.prepared import print_preparation
from dagster_defs.render.text.stores import print_figures, print_imported, print_made, print_store_check
from dagster_defs.render.text.units import (
    facets_json,
    plan_block,
    plan_json,
    print_facets,
    print_init,
    print_inventory,
    print_scaffold,
    print_status,
    print_summary,
    scaffold_json,
    status_json,
)
from dagster_defs.render.text.upgrade import print_upgrade, upgrade_json
from dagster_defs.render.text.verdicts import (
    print_comparisons,
    print_explanations,
    print_noise,
    print_verdicts,
)

__all__ = [
    "Steps",
    "continuity_json",
    "echoes_json",
    "facets_json",
    "plan_block",
    "plan_json",
    "print_backfills",
    "print_comparisons",
    "print_continuity",
    "print_diagnosis",
    "print_echo_test",
    "print_echoes",
    "print_error",
    "print_explanations",
    "print_facets",
    "print_figures",
    "print_imported",
    "print_init",
    "print_inventory",
    "print_json",
    "print_keys",
    "print_made",
    "print_moved",
    "print_noise",
    "print_plain",
    "print_preparation",
    "print_proposals",
    "print_scaffold",
    "print_status",
    "print_store_check",
    "print_summary",
    "print_upgrade",
    "print_verdicts",
    "print_watch",
    "print_windows",
    "proposals_json",
    "say",
    "scaffold_json",
    "status_json",
    "upgrade_json",
    "warn",
]
