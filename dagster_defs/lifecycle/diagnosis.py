"""What `parity doctor` finds in a deployment, and how what it has measured is judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dagster_defs.older_python import StrEnum

SCHEMA = "parity/doctor/1"
NEAR, FAR = 5.0, 60.0  # seconds that two clocks may be apart: below the first nobody notices


class Health(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `check`: its name, the same in every run. `remedy`: empty only if nothing has to be done."""

    check: str
    health: Health
    said: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing has failed. What is not known has not failed."""
        return all(finding.health is not Health.FAILED for finding in self.findings)

    def count(self, health: Health) -> int:
        return sum(finding.health is health for finding in self.findings)

    def as_json(self) -> Mapping[str, Any]:
        return {
            "schema": SCHEMA,
            "sound": self.is_sound,
            "findings": [asdict(finding) for finding in self.findings],
        }


@dataclass(frozen=True, slots=True)
class Skew:
    """How many seconds another clock is ahead of this one, known to within `give`."""

    ahead: float
    give: float

    @property
    def at_least(self) -> float:
        return max(0.0, abs(self.ahead) - self.give)

    def __str__(self) -> str:
        way = "ahead of" if self.ahead >= 0 else "behind"
        return (
            f"{abs(self.ahead):.1f} s {way}"
            if self.at_least
            else f"within {self.give + abs(self.ahead):.1f} s of"
        )


@dataclass(frozen=True, slots=True)
class Deployment:
    """A Dagster instance, as it describes itself. `monitoring`: its `run_monitoring`, None if it does not say.
    `limits`: slots of each pool that has a limit of its own; `default_limit`: of the others. `held`: slots that runs
    hold, by pool, and the runs' ids."""

    launcher: str
    queues_runs: bool
    monitoring: Mapping[str, Any] | None
    limits: Mapping[str, int]
    default_limit: int | None
    held: Mapping[str, Sequence[str]]


def of_clock(check: str, whose: str, skew: Skew | None) -> Finding:
    if skew is None:
        why = f"{whose} clock: its answer has no time"
        return Finding(check, Health.NOT_KNOWN, why, "Compare it with this host's by hand: date -u")
    said = f"{whose} clock is {skew} this host's"
    remedy = "Let both hosts take their time from one NTP server"
    if skew.at_least > FAR:
        return Finding(
            check, Health.FAILED, said, f"{remedy}: windows begin late, and tries look older than they are"
        )
    if skew.at_least > NEAR:
        return Finding(check, Health.WARNING, said, remedy)
    return Finding(check, Health.OK, said)


def of_deployment(deployment: Deployment, pools: Iterable[str]) -> Iterator[Finding]:
    """`pools`: those that the mirrors use."""
    yield from _of_monitoring(deployment)
    yield _of_pools(deployment, sorted(set(pools)))


def _of_monitoring(deployment: Deployment) -> Iterator[Finding]:
    check, known, file = "dagster.monitoring", deployment.monitoring, "in dagster.yaml"
    if known is None:
        why = "Dagster does not show its configuration, so it is not known whether run_monitoring is on"
        yield Finding(check, Health.NOT_KNOWN, why, f"Look {file}: run_monitoring: {{enabled: true}}")
        return
    if not known.get("enabled"):
        why = "run monitoring is off: a run that does not end when it is told to is never marked as ended"
        yield Finding(check, Health.WARNING, why, f"Set {file}: run_monitoring: {{enabled: true}}")
        return
    if not known.get("max_runtime_seconds"):
        why = "run monitoring is on, without a bound for a run whose worker was lost together with its host"
        remedy = f"Set {file}, above your longest run: run_monitoring: {{max_runtime_seconds: 86400}}"
        yield Finding(check, Health.WARNING, why, remedy)
    else:
        said = f"run monitoring is on, and a run ends after {known['max_runtime_seconds']} s at the latest"
        yield Finding(check, Health.OK, said)
    seconds = known.get("free_slots_after_run_end_seconds")
    if seconds is None and (deployment.limits or deployment.default_limit is not None):
        why = "a pool's slot that a killed process held stays taken"
        remedy = f"Set {file}: run_monitoring: {{free_slots_after_run_end_seconds: 60}}"
        yield Finding("dagster.slots", Health.WARNING, why, remedy)
    elif seconds is not None:
        yield Finding("dagster.slots", Health.OK, f"slots are free {seconds} s after their run has ended")


def _of_pools(deployment: Deployment, pools: Sequence[str]) -> Finding:
    check, queue = "dagster.pools", f"runs are started by {deployment.launcher}"
    if not deployment.queues_runs:
        queue += ", at once and without a queue"
    unlimited = [] if deployment.default_limit is not None else [
        name for name in pools if name not in deployment.limits
    ]  # fmt: skip
    if unlimited:
        why = (
            f"{queue}; no limit is set for the pool{'s' if len(unlimited) > 1 else ''} {', '.join(unlimited)}"
        )
        return Finding(
            check, Health.WARNING, why, f"Set one: dagster instance concurrency set {unlimited[0]} 1"
        )
    if not pools:
        return Finding(check, Health.OK, f"{queue}; the mirrors use no pool")
    slots = ", ".join(f"{name} {deployment.limits.get(name, deployment.default_limit)}" for name in pools)
    return Finding(check, Health.OK, f"{queue}; slots of pools: {slots}")
