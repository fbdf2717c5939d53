"""The dbt tests of both sides, reported next to a comparison."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.components.units.dbt_environment import UnitEnvironment
from dagster_defs.components.units.shadows import shadow_key
from dagster_defs.errors import ParityError
from dagster_defs.windows import Moment, PartitionVars

Verdicts = Mapping[dg.AssetCheckKey, bool]


@dataclass(frozen=True)
class LegacyTests:
    """The dbt tests that a unit's legacy command runs: unique ids by check. `shaped`: whether the window's variables
    shape them. `timeout`: seconds per window. `environment`: what the unit sets in dbt's environment.
    """

    workspace: DbtWorkspace
    variables: PartitionVars
    ids: Mapping[dg.AssetCheckKey, str]
    shaped: bool
    timeout: float | None
    environment: UnitEnvironment

    def evaluate(
        self, twins: Collection[dg.AssetCheckKey], windows: Sequence[Moment], run_id: str, wait_s: float
    ) -> "LegacyVerdicts":
        """Evaluate, on legacy's current data, the tests that the candidate has too; nothing is written."""
        shared = {check: test for check, test in self.ids.items() if twin_of(check) in twins}
        if not shared:
            return LegacyVerdicts()
        try:
            variables = self.variables.for_range(windows[0], windows[-1])
            environment = self.environment.for_range(windows[0], windows[-1])
        except ParityError as error:
            return LegacyVerdicts(not_known=dict.fromkeys(shared, str(error)))
        from dagster_defs.usecases.shadow.legacy_tests import evaluate_tests

        evaluated = evaluate_tests(
            self.workspace,
            frozenset(shared.values()),
            variables=variables,
            environment=environment,
            run_dir=self.workspace.target_path / "runs" / run_id / "legacy_tests",
            parse_again=self.shaped,
            wait_s=wait_s,
            timeout=None if self.timeout is None else self.timeout * len(windows),
        )
        return LegacyVerdicts(
            {check: evaluated.passed[test] for check, test in shared.items() if test in evaluated.passed},
            {
                check: evaluated.not_known[test]
                for check, test in shared.items()
                if test in evaluated.not_known
            },
        )


@dataclass(frozen=True)
class LegacyVerdicts:
    """Results of legacy's tests, and why others are unknown."""

    passed: Verdicts = field(default_factory=dict)
    not_known: Mapping[dg.AssetCheckKey, str] = field(default_factory=dict)

    def beside(
        self, ours: Verdicts, legacy_key: dg.AssetKey, compared: Collection[dg.AssetKey]
    ) -> tuple[str, list[str]]:
        """The summary to show with the verdict on one output, and the names of the tests that differ.

        `ours`: the candidate's results; `compared`: legacy keys of all compared outputs. A test on something that is
        not compared counts for every output of the unit.
        """
        both = {
            check.name: (passed, ours[twin_of(check)])
            for check, passed in self.passed.items()
            if _speaks_for(check, legacy_key, compared) and twin_of(check) in ours
        }
        reasons: dict[str, list[str]] = {}
        for check, why in self.not_known.items():
            if _speaks_for(check, legacy_key, compared):
                reasons.setdefault(why, []).append(check.name)
        differing = sorted(name for name, (each, other) in both.items() if each != other)
        unknown = [f"{', '.join(sorted(names))}: {why}" for why, names in sorted(reasons.items())]
        if not both and not unknown:
            return "none on both sides", []
        known = [f"{len(both)} on both sides, {len(differing)} differ"] if both else []
        return "; ".join([*known, *(f"not known: {each}" for each in unknown)]), differing


def twin_of(check: dg.AssetCheckKey) -> dg.AssetCheckKey:
    """The same test on the candidate side."""
    return dg.AssetCheckKey(shadow_key(check.asset_key), check.name)


def _speaks_for(check: dg.AssetCheckKey, legacy_key: dg.AssetKey, compared: Collection[dg.AssetKey]) -> bool:
    return check.asset_key == legacy_key or check.asset_key not in compared
