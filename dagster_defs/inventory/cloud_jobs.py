"""dbt Cloud's jobs: what its API says about them, and the dbt commands that an operator's run of one executes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Overrides of one run that change nothing in what is built.
_HARMLESS = frozenset(
    {"cause", "generate_docs_override", "threads_override", "timeout_seconds_override", "steps_override"}
)


@dataclass(frozen=True, slots=True)
class CloudJob:
    """`steps` are dbt command lines, run one after another until one fails."""

    job_id: str
    name: str
    steps: tuple[str, ...]


class NotCloudJobs(ValueError):
    """The message says what is missing."""


def read_jobs(document: Any) -> tuple[CloudJob, ...]:
    """From an answer of dbt Cloud's API about one job or several. Raises NotCloudJobs."""
    data = document.get("data") if isinstance(document, Mapping) else document
    jobs = tuple(map(_job, [data] if isinstance(data, Mapping) else data if isinstance(data, list) else []))
    if not jobs:
        raise NotCloudJobs("it has no jobs: dbt Cloud's answer has them under `data`")
    ids = [job.job_id for job in jobs]
    if twice := next((job_id for job_id in ids if ids.count(job_id) > 1), ""):
        raise NotCloudJobs(f"job {twice} is in it twice")
    return jobs


def _job(item: Any) -> CloudJob:
    if not isinstance(item, Mapping) or not isinstance(item.get("id"), int):
        raise NotCloudJobs("a job has no `id`")
    steps = item.get("execute_steps")
    if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
        raise NotCloudJobs(f"job {item['id']} has no list of texts `execute_steps`")
    return CloudJob(str(item["id"]), str(item.get("name") or ""), tuple(steps))


def job_of(fields: Mapping[str, Any], jobs: Sequence[CloudJob]) -> CloudJob | None:
    """The job that an operator's fields name, by its id or by a name that no other job has."""
    if fields.get("job_id") is not None:
        return next((job for job in jobs if job.job_id == str(fields["job_id"])), None)
    named = [job for job in jobs if job.name and job.name == fields.get("job_name")]
    return named[0] if len(named) == 1 else None


def steps_of(fields: Mapping[str, Any], job: CloudJob | None) -> Sequence[str] | None:
    """The command lines of the run; None if they are not known."""
    config = fields.get("additional_run_config")
    for given in (
        fields.get("steps_override"),
        config.get("steps_override") if isinstance(config, Mapping) else None,
    ):
        if isinstance(given, list | tuple) and given:
            return [str(step) for step in given]
    return job.steps if job else None


def why_another(fields: Mapping[str, Any]) -> str:
    """What makes the run another than the job's steps on the project at hand; empty if nothing does."""
    return ", ".join(f"{name}={value}" for name, value in _overrides(fields))


def _overrides(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if schema := fields.get("schema_override"):
        yield "schema_override", schema
    config = fields.get("additional_run_config")
    for name, value in config.items() if isinstance(config, Mapping) else ():
        if name not in _HARMLESS and name != "__class__" and value is not None:
            yield name, value
