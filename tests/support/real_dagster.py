"""A Dagster code location with two units whose work a test holds up: each waits for the file `go` in its folder.

Everything else is as in the project: the job's name and tags, and the look at the window before any work.
"""

import os
import time
from pathlib import Path

import dagster as dg

from dagster_defs.adapters.dagster.partitions import partitioned
from dagster_defs.adapters.store.heartbeats import HeartbeatFiles
from dagster_defs.components.runs.beating import Pulse
from dagster_defs.components.runs.run_window import windows_of_run
from dagster_defs.components.sensors.lost_runs import build_lost_runs_sensor
from dagster_defs.lifecycle import tags
from dagster_defs.windows import Schedule

PARTITIONS = partitioned(Schedule.of("0 6 * * *", "America/New_York", "2024-03-01"))
DEFINITION = dg.DailyPartitionsDefinition("2024-03-01", timezone="America/New_York", hour_offset=6)
TAGS = {tags.TIMEZONE: "America/New_York", tags.KEY_FORMAT: "%Y-%m-%d"}


def unit(name: str) -> tuple[dg.AssetsDefinition, dg.AssetChecksDefinition]:
    @dg.asset(name=name, partitions_def=DEFINITION)
    def work(context: dg.AssetExecutionContext) -> None:
        [window] = windows_of_run(context, PARTITIONS)
        folder = Path(os.environ["HELD_UP_FOLDER"])
        with Pulse(HeartbeatFiles(folder), context.run_id, name, every=1):
            _note(folder / "began", f"{name} {context.run_id} {window} {os.getpid()}")
            while not (folder / "go").exists():
                time.sleep(0.1)
            _note(folder / "ended", f"{name} {context.run_id}")

    @dg.asset_check(asset=work, name=f"{name}_is_whole")
    def is_whole(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        _note(Path(os.environ["HELD_UP_FOLDER"]) / "checked", f"{name} {context.run.run_id}")
        return dg.AssetCheckResult(passed=True)

    return work, is_whole


def _note(file: Path, line: str) -> None:
    with file.open("a") as opened:
        opened.write(f"{line}\n")


units = [unit(name) for name in ("build", "later")]
defs = dg.Definitions(
    assets=[work for work, _ in units],
    asset_checks=[check for _, check in units],
    jobs=[
        dg.define_asset_job(f"nightly__{name}", selection=dg.AssetSelection.assets(name), tags=TAGS)
        for name in ("build", "later")
    ],
    # It looks into the store of PARITY_STORE, which the server's environment names.
    sensors=[build_lost_runs_sensor("held_up", 1, Path(__file__).parent, still=6)],
    executor=dg.in_process_executor,
)
