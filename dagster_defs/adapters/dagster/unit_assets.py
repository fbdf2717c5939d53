"""`dagster.multi_asset` for the hundreds of units of an estate, whose steps are all alike.

Dagster's decorator inspects each function and resolves the type of each output, and each copy of a definition, for its
metadata and for its resources, is validated like a new one. Here a definition is made from a prototype of Dagster's
decorator, with the unit's own names, assets and checks. The first definition of each shape is built both ways and
compared: should another Dagster build it differently, the decorator builds all definitions of that shape.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from dagster_defs.adapters.dagster.internal_names import internal_names

with internal_names():
    from dagster._core.definitions.assets.definition import assets_definition
    from dagster._core.definitions.decorators.op_decorator import DecoratedOpFunction
    from dagster._core.definitions.metadata import normalize_metadata
    from dagster._core.definitions.node_definition import NodeDefinition
    from dagster._core.definitions.utils import check_valid_name
    from dagster._utils.tags import normalize_tags
    from dagster_shared.record import replace

_OUTPUT, _DEP, _CHECK = "written_asset", "read_asset", "rows"
_SYSTEM_METADATA = ("dagster/io_manager_key", "dagster/dagster_type")

Run = Callable[..., Any]
Shape = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitStep:
    """What `dagster.multi_asset` is told of a unit's step. Everything has the step's partitions and a group."""

    name: str
    specs: Sequence[dg.AssetSpec]
    checks: Sequence[dg.AssetCheckSpec]
    can_subset: bool
    partitions: dg.PartitionsDefinition | None
    backfills: dg.BackfillPolicy | None
    config_schema: Any
    pool: str | None
    tags: Mapping[str, str]

    def decorate(self, run: Run) -> dg.AssetsDefinition:
        """The definition, made from a prototype where that is the same as Dagster's own."""
        shape = self._shape
        if shape is None or _DIFFERS.get(shape):
            return self.by_dagster(run)
        try:
            made = self._from_prototype(run, _prototype(self.can_subset, self.config_schema, run))
        except Exception:  # whatever it is, the decorator says it, or does without
            return self.by_dagster(run)
        if shape not in _DIFFERS:
            _DIFFERS[shape] = not is_same(made, self.by_dagster(run))
        return self.by_dagster(run) if _DIFFERS[shape] else made

    def by_dagster(self, run: Run) -> dg.AssetsDefinition:
        decorated = dg.multi_asset(
            name=self.name,
            specs=self.specs,
            check_specs=self.checks,
            can_subset=self.can_subset,
            partitions_def=self.partitions,
            allow_arbitrary_check_specs=True,  # a test on a source is a check of another unit's asset
            backfill_policy=self.backfills,
            config_schema=self.config_schema,
            pool=self.pool,
            op_tags=self.tags,
        )
        return decorated(run)

    @property
    def _shape(self) -> Shape | None:
        """What the way in which Dagster builds it depends on; None for what only the decorator builds."""
        own = {spec.key for spec in self.specs}
        deps = [(spec.key, dep) for spec in self.specs for dep in spec.deps]
        names = {spec.get_python_identifier() for spec in self.checks}
        outputs = {key.to_python_identifier() for key in own}
        if (
            self.pool is not None
            or not len(own) == len(outputs) == len(self.specs) > 0
            or len(names) != len(self.checks)
            or names & outputs
            or any(
                dep.asset_key in own and (dep.asset_key == key or dep.partition_mapping) for key, dep in deps
            )
            or any(spec.partitions_def is not self.partitions or not spec.group_name for spec in self.specs)
            or any(name in spec.metadata for spec in self.specs for name in _SYSTEM_METADATA)
        ):
            return None
        return (
            self.can_subset,
            self.config_schema is None,
            bool(self.checks),
            len(self.specs) > 1,
            any(dep.asset_key in own for _, dep in deps),
            any(dep.asset_key not in own for _, dep in deps),
            any(dep.partition_mapping for _, dep in deps),
        )

    def _from_prototype(self, run: Run, prototype: _Prototype) -> dg.AssetsDefinition:
        outputs = {spec.key.to_python_identifier(): spec for spec in self.specs}
        checks = {spec.get_python_identifier(): spec for spec in self.checks}
        inputs = self._inputs({spec.key: name for name, spec in outputs.items()})
        op = _clone(prototype.op, _compute_fn=DecoratedOpFunction(run))
        NodeDefinition.__init__(
            op,
            name=self.name,
            input_defs=[_clone(prototype.dep, _name=name) for name in sorted(inputs)],
            output_defs=[
                *(_output(prototype.output, name, spec) for name, spec in outputs.items()),
                *(_clone(prototype.check, _name=name) for name in checks),
            ],
            tags=self.tags,
            positional_inputs=[],
        )
        functools.update_wrapper(op, run)
        specs = {
            spec.key: spec if spec.skippable == self.can_subset else replace(spec, skippable=self.can_subset)
            for spec in self.specs
        }
        computation = replace(
            prototype.computation,
            node_def=op,
            keys_by_input_name=inputs,
            keys_by_output_name={name: spec.key for name, spec in outputs.items()},
            check_keys_by_output_name={name: spec.key for name, spec in checks.items()},
            backfill_policy=self.backfills,
            selected_asset_keys=set(specs),
            selected_asset_check_keys={spec.key for spec in self.checks},
        )
        deps = [dep for spec in self.specs for dep in spec.deps]
        made = object.__new__(UnitAssets)
        vars(made).update(
            {
                **prototype.fields,
                "_computation": computation,
                "_specs_by_key": specs,
                "_partition_mappings": assets_definition.get_partition_mappings_from_deps(
                    {}, deps, self.name
                ),
                "_check_specs_by_output_name": checks,
                "_check_specs_by_key": {spec.key: spec for spec in self.checks},
            }
        )
        return made

    def _inputs(self, own: Mapping[dg.AssetKey, str]) -> dict[str, dg.AssetKey]:
        """Keys by the names of the inputs that stand for them: what the step reads and, if a part of it can be
        requested, those of its own assets that others of them read."""
        read = {dep.asset_key: None for spec in self.specs for dep in spec.deps}
        outside = {
            assets_definition.stringify_asset_key_to_input_name(key): key for key in read if key not in own
        }
        prefix = assets_definition.ASSET_SUBSET_INPUT_PREFIX
        inside = {f"{prefix}{name}": key for key, name in own.items() if key in read and self.can_subset}
        return {**outside, **inside}


@dataclass(frozen=True, slots=True)
class _Prototype:
    """A definition of Dagster's decorator, taken apart."""

    fields: Mapping[str, Any]
    computation: Any
    op: Any
    dep: Any
    output: Any
    check: Any

    @classmethod
    def of(cls, assets: dg.AssetsDefinition) -> _Prototype:
        computation: Any = assets._computation
        op = computation.node_def
        ends = op.input_dict[_DEP], op.output_dict[_OUTPUT], op.output_dict[f"{_OUTPUT}_{_CHECK}"]
        return cls(dict(vars(assets)), computation, op, *ends)


def respecified(spec: dg.AssetSpec, **changes: Any) -> dg.AssetSpec:
    """The spec with other attributes. What is derived from what a person writes, owners and tags, is validated."""
    if changes.get("owners"):
        return spec.replace_attributes(**changes)
    if "tags" in changes:
        normalize_tags(changes["tags"], strict=True)
    return replace(spec, **changes)


class UnitAssets(dg.AssetsDefinition):
    """A definition whose copies are not validated again where only metadata or resources are new."""

    _offered: Any = None  # the resources that were offered to a unit's step last …
    _taken: Any = None  # … and what it took: every step needs the same, which is Dagster's default IO manager

    def with_attributes(self, **changes: Any) -> dg.AssetsDefinition:
        metadata: Mapping[Any, Any] | None = changes.get("metadata_by_key")
        if changes.keys() != {"metadata_by_key"} or metadata is None:
            return super().with_attributes(**changes)
        checks = {
            name: spec.with_metadata(metadata[spec.key]) if spec.key in metadata else spec
            for name, spec in self._check_specs_by_output_name.items()
        }
        specs = dict(self._specs_by_key)
        for name, key in self.node_keys_by_output_name.items():
            if key in metadata:  # as Dagster does, what the op itself says stays
                own = self.node_def.output_dict[name].metadata
                specs[key] = replace(specs[key], metadata={**own, **metadata[key]})
        return self._copied(
            _specs_by_key=specs,
            _check_specs_by_output_name=checks,
            _check_specs_by_key={spec.key: spec for spec in checks.values()},
        )

    def with_resources(self, resource_defs: Mapping[str, dg.ResourceDefinition]) -> dg.AssetsDefinition:
        if self._resource_defs:
            return super().with_resources(resource_defs)
        if UnitAssets._offered is not resource_defs:
            UnitAssets._taken = super().with_resources(resource_defs)._resource_defs
            UnitAssets._offered = resource_defs
        return self._copied(_resource_defs=UnitAssets._taken)

    def _copied(self, **changes: Any) -> UnitAssets:
        """Without the values that Dagster has derived from the attributes and keeps beside them."""
        own = next(iter(_PROTOTYPES.values()))[0].fields
        copied = object.__new__(UnitAssets)
        vars(copied).update({**{name: getattr(self, name) for name in own}, **changes})
        return copied


_DIFFERS: dict[Shape, bool] = {}  # whether a shape's prototype has been found to differ from Dagster's own
_PROTOTYPES: dict[tuple[bool, int], tuple[_Prototype, Any]] = {}


def _prototype(can_subset: bool, config_schema: Any, run: Run) -> _Prototype:
    key = can_subset, id(config_schema)
    if key not in _PROTOTYPES:
        step = UnitStep(
            name="prototype",
            specs=[dg.AssetSpec(_OUTPUT, deps=[_DEP], group_name="prototype", skippable=can_subset)],
            checks=[dg.AssetCheckSpec(_CHECK, asset=_OUTPUT)],
            can_subset=can_subset,
            partitions=None,
            backfills=None,
            config_schema=config_schema,
            pool=None,
            tags={},
        )
        prototype = _Prototype.of(step.by_dagster(run))
        for name in vars(run):  # which the op has taken over, and no other function's op has
            vars(prototype.op).pop(name, None)
        # The schema is kept, so that no other gets its id.
        _PROTOTYPES[key] = prototype, config_schema
    return _PROTOTYPES[key][0]


def _clone(prototype: Any, **changes: Any) -> Any:
    """An object of the same class with the same attributes, but for the changes. Raises DagsterInvalidDefinitionError
    for a name that Dagster refuses."""
    check_valid_name(changes.get("_name", prototype.name))
    cloned = object.__new__(type(prototype))
    vars(cloned).update({**vars(prototype), **changes})
    return cloned


def _output(prototype: Any, name: str, spec: dg.AssetSpec) -> Any:
    return _clone(
        prototype,
        _name=name,
        _description=spec.description,
        _code_version=spec.code_version,
        _raw_metadata=spec.metadata,
        _metadata=normalize_metadata(spec.metadata, allow_invalid=True),
    )


def is_same(one: dg.AssetsDefinition, other: dg.AssetsDefinition) -> bool:
    """Whether both definitions have the same attributes, and those of their ops, inputs and outputs too."""
    return attributes(one) == attributes(other)


def attributes(assets: dg.AssetsDefinition) -> dict[str, Any]:
    """What two definitions are compared by."""
    computation: Any = assets._computation
    op = computation.node_def
    fields = {name: getattr(computation, name) for name in computation._fields if name != "node_def"}
    ends = [vars(end) for end in (*op.input_defs, *op.output_defs)]
    return {
        **{name: value for name, value in vars(assets).items() if name != "_computation"},
        "computation": fields,
        "op": {name: value for name, value in vars(op).items() if name not in _COMPARED_APART},
        "names": [list(op.input_dict), list(op.output_dict), op.config_schema.config_type.key],
        "ends": [{name: str(value) for name, value in end.items()} for end in ends],
    }


# Objects without an equality of their own
_COMPARED_APART = {"_input_defs", "_input_dict", "_output_defs", "_output_dict", "_config_schema"}
