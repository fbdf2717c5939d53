"""What is said of the dbt tests of both sides beside a comparison."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.components.units.shadows import shadow_key
from dagster_defs.errors import ParityError
from dagster_defs.windows import PartitionVars, Window

Verdicts = Mapping[dg.AssetCheckKey, bool]


@dataclass(frozen=True)
class LegacyTests:
    """The dbt tests that a unit's legacy command runs: unique ids by their check. `shaped`: by the window's variables.

    `timeout`: seconds for each window.
    """

    workspace: DbtWorkspace
    variables: PartitionVars
    ids: Mapping[dg.AssetCheckKey, str]
    shaped: bool
    timeout: float | None

    def evaluate(
        self, twins: Collection[dg.AssetCheckKey], windows: Sequence[Window], run_id: str, wait_s: float
    ) -> "LegacyVerdicts":
        """As legacy's data stands now, those whose twin the candidate has; nothing is written."""
        wanted = {check: test for check, test in self.ids.items() if twin_of(check) in twins}
        if not wanted:
            return LegacyVerdicts()
        try:
            variables = self.variables.for_range(windows[0], windows[-1])
        except ParityError as error:
            return LegacyVerdicts(not_known=dict.fromkeys(wanted, str(error)))
        from dagster_defs.usecases.shadow.legacy_tests import evaluate_tests

        found = evaluate_tests(
            self.workspace,
            frozenset(wanted.values()),
            variables=variables,
            run_dir=self.workspace.target_path / "runs" / run_id / "legacy_tests",
            parse_again=self.shaped,
            wait_s=wait_s,
            timeout=None if self.timeout is None else self.timeout * len(windows),
        )
        return LegacyVerdicts(
            {check: found.passed[test] for check, test in wanted.items() if test in found.passed},
            {check: found.not_known[test] for check, test in wanted.items() if test in found.not_known},
        )


@dataclass(frozen=True)
class LegacyVerdicts:
    """How legacy's tests came out, and why others are not known."""

    passed: Verdicts = field(default_factory=dict)
    not_known: Mapping[dg.AssetCheckKey, str] = field(default_factory=dict)

    def beside(
        self, ours: Verdicts, legacy_key: dg.AssetKey, compared: Collection[dg.AssetKey]
    ) -> tuple[str, list[str]]:
        """What is said beside the verdict on one output, and the names of the tests that differ.

        `ours`: how the candidate's came out; `compared`: legacy keys of all compared outputs. A test on something
        that is not compared speaks for every output of the unit.
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
        differing = sorted(name for name, (one, other) in both.items() if one != other)
        said = [f"{', '.join(sorted(names))}: {why}" for why, names in sorted(reasons.items())]
        if not both and not said:
            return "none on both sides", []
        known = [f"{len(both)} on both sides, {len(differing)} differ"] if both else []
        return "; ".join([*known, *(f"not known: {one}" for one in said)]), differing


def twin_of(check: dg.AssetCheckKey) -> dg.AssetCheckKey:
    """The same test on the candidate side."""
    return dg.AssetCheckKey(shadow_key(check.asset_key), check.name)


def _speaks_for(check: dg.AssetCheckKey, legacy_key: dg.AssetKey, compared: Collection[dg.AssetKey]) -> bool:
    return check.asset_key == legacy_key or check.asset_key not in compared
