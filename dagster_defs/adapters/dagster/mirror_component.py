"""What tells a mirror from the other components of an estate: it says so by its type, and fulfils all of `Mirror`."""

import dagster as dg

from dagster_defs.lifecycle.mirrors import Mirror


class MirrorComponent(dg.Component, Mirror):
    """Base of the components that stand for a legacy task."""
