"""What a unit reads but does not build: built once on both sides of a rehearsal, before the first window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from dagster_defs.adapters.dbt.project import Manifest
from dagster_defs.adapters.dbt.workspaces import workspace_of
from dagster_defs.errors import NoRehearsal, Unaligned
from dagster_defs.graph import reachable
from dagster_defs.lifecycle.mirrors import DbtMirror, FileOutput, Mirror
from dagster_defs.parity import Side
from dagster_defs.windows import Scheduled, Tick


@dataclass(frozen=True)
class Upstream:
    """`nodes` are built on each side; `own` are built by the unit itself; `sources` are only read.

    The dbt project is that of `mirror`.
    """

    mirror: DbtMirror
    own: frozenset[str]
    nodes: frozenset[str]
    sources: frozenset[str]

    def build(self, side: Side, span: tuple[Scheduled, Scheduled], run_dir: Path) -> None:
        """Run one dbt command, without tests and with the project's own defaults for its variables.

        Raises DbtFailed.
        """
        if not self.nodes:
            return
        workspace = workspace_of(self.mirror, side)
        nodes = workspace.manifest["nodes"]
        names = ["fqn:" + ".".join(nodes[node_id]["fqn"]) for node_id in sorted(self.nodes)]
        without = [
            word for kind in ("test", "unit_test", "source") for word in ("--exclude-resource-type", kind)
        ]
        command = ["build", "--select", *names, *without, *_event_times(nodes, self.nodes, span)]
        run = workspace.run(command, variables={}, run_dir=run_dir, nodes=self.nodes)
        run_dir.mkdir(parents=True, exist_ok=True)
        with (run_dir / "output.log").open("w", encoding="utf-8") as output, redirect_stdout(output):
            # Exhausting the events raises the failures after the last one.
            for _ in run.events():
                pass


def upstream_of(mirror: Mirror, mirrors: Sequence[Mirror]) -> Upstream | None:
    """For a Python unit, what builds the models that it reads. None if the unit is not tied to a dbt project."""
    if (own := mirror.dbt_mirror) is not None:
        return _upstream(own, mirror.declared().nodes or frozenset(), frozenset())
    reads = mirror.declared().reads
    for other in mirrors:
        makers = other.dbt_mirror
        if makers is not None and not reads.isdisjoint(other.declared().writes):
            return _upstream(makers, frozenset(), other.declared().nodes or frozenset())
    return None


def _upstream(mirror: DbtMirror, own: frozenset[str], also: frozenset[str]) -> Upstream:
    manifest = workspace_of(mirror, Side.LEGACY).manifest
    above = reachable(own | also, lambda name: manifest["parent_map"].get(name, ()))
    nodes = frozenset(node_id for node_id in (above | also) - own if _is_built(manifest, node_id))
    return Upstream(mirror, own, nodes, frozenset(name for name in above if name.startswith("source.")))


def _is_built(manifest: Manifest, node_id: str) -> bool:
    node = manifest["nodes"].get(node_id)
    return (
        node is not None
        and node["resource_type"] in ("model", "seed", "snapshot")
        and node["config"]["materialized"] != "ephemeral"
    )


def _event_times(nodes: Manifest, node_ids: frozenset[str], span: tuple[Scheduled, Scheduled]) -> list[str]:
    """The span of all windows: without it, a microbatch model would run from its `begin` until now.

    Raises NoRehearsal for a tick, because no time is its own."""
    if not any(nodes[name]["config"].get("incremental_strategy") == "microbatch" for name in node_ids):
        return []
    if isinstance(span[0], Tick):
        reason = "is microbatch, and a tick has no length for which it could be built"
        raise NoRehearsal("a model upstream", reason, "Shadow the unit instead")
    start, end = (instant.format("YYYY-MM-DDTHH:mm:ss") for instant in (span[0].start, span[1].end))
    return ["--event-time-start", start, "--event-time-end", end]


def refuse_missing_files(
    unit: Mirror, upstream: Upstream, mirrors: Sequence[Mirror], windows: Sequence[Scheduled]
) -> None:
    """Raises NoRehearsal if a source file is missing that a mirrored Python unit produces for one of the windows."""
    sources = workspace_of(upstream.mirror, Side.LEGACY).manifest["sources"]
    names = {f"{sources[source]['source_name']}.{sources[source]['name']}" for source in upstream.sources}
    for feeder in mirrors:
        for source, key in feeder.feeds.items():
            if source in names:
                _refuse_missing(unit, feeder, source, "/".join(key.path), windows)


def _refuse_missing(
    unit: Mirror, feeder: Mirror, source: str, output: str, windows: Sequence[Scheduled]
) -> None:
    for delivered in dict.fromkeys(_delivered(feeder, windows)):
        for produced in feeder.outputs_of(delivered):
            if (
                isinstance(produced, FileOutput)
                and produced.name == output
                and not Path(produced.legacy).exists()
            ):
                key = feeder.partitions.key_of(delivered)
                maker = f"Airflow's {feeder.legacy_unit} produces it in partition {key}"
                raise NoRehearsal(
                    f"the source {source} of {unit.legacy_unit}",
                    f"has no file {produced.legacy}",
                    f"{maker}. To produce it here: dg launch --job {feeder.job_name(Side.LEGACY)} --partition {key}",
                )


def _delivered(feeder: Mirror, windows: Sequence[Scheduled]) -> Iterator[Scheduled]:
    """The feeder's windows that contain the starts of `windows`."""
    for window in windows:
        try:
            yield feeder.partitions.window_containing(window.start)
        except Unaligned:
            continue
