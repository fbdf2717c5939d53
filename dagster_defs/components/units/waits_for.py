"""What a window of a retired DAG waits for, as a mirror's YAML declares it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import dagster as dg

from dagster_defs.adapters.files.asked_dates import read_asked
from dagster_defs.lifecycle.waits import RETRY_DELAY, WEEK, Wait


@dataclass
class WaitsFor(dg.Resolvable):
    """One `ExternalTaskSensor` of the legacy DAG. Its schedule starts a window only when all of them are met."""

    sensor: Annotated[str, dg.Resolver.default(description="The sensor's task_id.")]
    dag: Annotated[str, dg.Resolver.default(description="Airflow's `external_dag_id`.")]
    tasks: Annotated[
        Sequence[str],
        dg.Resolver.default(
            description="The tasks of that DAG, each with a mirror; without them, its whole run is waited for."
        ),
    ] = field(default_factory=list)
    delta: Annotated[
        float,
        dg.Resolver.default(description="Airflow's `execution_delta`, in seconds.", examples=[3600]),
    ] = 0
    dates: Annotated[
        str | None,
        dg.Resolver.default(
            description=(
                "Instead of `delta`: the file, next to the YAML, with what the sensor's `execution_date_fn` returned "
                "for each window; `parity scaffold` writes it."
            ),
            examples=["waits.json"],
        ),
    ] = None
    allowed: Annotated[
        Sequence[str], dg.Resolver.default(description="Airflow's `allowed_states`.", examples=[["success"]])
    ] = field(default_factory=lambda: ["success"])
    failed: Annotated[Sequence[str], dg.Resolver.default(description="Airflow's `failed_states`.")] = field(
        default_factory=list
    )
    skipped: Annotated[Sequence[str], dg.Resolver.default(description="Airflow's `skipped_states`.")] = field(
        default_factory=list
    )
    timeout: Annotated[
        float, dg.Resolver.default(description="Airflow's `timeout`, in seconds; a week by default.")
    ] = WEEK
    soft_fail: Annotated[
        bool,
        dg.Resolver.default(description="Airflow's `soft_fail`: the window is skipped instead of failing."),
    ] = False
    mode: Annotated[
        Literal["poke", "reschedule"],
        dg.Resolver.default(
            description="Airflow's `mode`: with `poke`, each further try has the whole time-out again."
        ),
    ] = "poke"
    retries: Annotated[
        int,
        dg.Resolver.default(description="The sensor's `retries`: tries after one that found a failed state."),
    ] = 0
    retry_delay: Annotated[
        float, dg.Resolver.default(description="The sensor's `retry_delay`, in seconds.")
    ] = RETRY_DELAY
    after: Annotated[
        Sequence[str],
        dg.Resolver.default(description="Sensors of this list that must be met before this one looks."),
    ] = field(default_factory=list)

    def wait(self, folder: Path) -> Wait:
        """`folder`: where its YAML is. Raises BadWindowList for a file of dates that cannot be read."""
        return Wait(
            self.sensor,
            self.dag,
            tuple(self.tasks),
            timedelta(seconds=self.delta),
            None if self.dates is None else read_asked(folder / self.dates, self.sensor),
            frozenset(self.allowed),
            frozenset(self.failed),
            frozenset(self.skipped),
            self.timeout,
            self.soft_fail,
            self.retries,
            self.retry_delay,
            restarts=self.mode == "poke",
            after=tuple(self.after),
        )
