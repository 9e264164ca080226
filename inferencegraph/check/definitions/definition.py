"""One kind in one version, as a CRD defines it, and the findings in an object of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inferencegraph.check.definitions.schema import MAP_KEYS, of_object, rules_in
from inferencegraph.check.definitions.wording import worded
from inferencegraph.check.problem import Finding
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator


class _DistinctItems:
    """The keyword MAP_KEYS: no two items of a list have the same keys."""

    def __init__(self, parent: Any, keys: Mapping[str, Any], path: Any) -> None:
        self._keys = keys

    def validate(self, instance: Any) -> None:
        """Raises ValueError. The keys of an item that has none of its own are their defaults."""
        seen = set()
        for item in instance if isinstance(instance, list) else ():
            if not isinstance(item, dict):
                continue
            told = {key: item.get(key, default) for key, default in self._keys.items()}
            mark = repr(told)
            if mark in seen:
                values = " and ".join(f"{key} {value!r}" for key, value in told.items())
                raise ValueError(f"has two items with {values}; keep one")
            seen.add(mark)


@dataclass(frozen=True)
class Definition:
    """`schema`: the CRD's own, of this version. `path`: the CRD's file."""

    group: str
    version: str
    kind: str
    schema: Mapping[str, Any]
    path: Path
    served: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}"

    @cached_property
    def rules(self) -> int:
        """In CEL, which nobody evaluates here."""
        return rules_in(dict(self.schema))

    @cached_property
    def strict(self) -> dict[str, Any]:
        """As JSON Schema."""
        return of_object(self.schema)

    @cached_property
    def _validator(self) -> "Draft202012Validator":
        try:
            import jsonschema_rs
        except ModuleNotFoundError as missing:
            raise ConfigurationError(
                "checking by CRDs needs jsonschema-rs: pip install 'kserve-hem[crds]'"
            ) from missing
        try:
            return jsonschema_rs.Draft202012Validator(
                self.strict,
                keywords={MAP_KEYS: _DistinctItems},
                # Go's expressions are linear, too, and know no look-around.
                pattern_options=jsonschema_rs.RegexOptions(),
                validate_formats=True,
            )
        except (ValueError, jsonschema_rs.ValidationError) as error:
            raise ConfigurationError(
                f"{self.path}: the schema of {self.kind} is none: {str(error).splitlines()[0]}"
            ) from error

    def findings(self, content: Mapping[str, Any]) -> Iterator[Finding]:
        """Raises ConfigurationError where the schema can't be read."""
        found = sorted(
            self._validator.iter_errors(content),
            key=lambda each: list(map(str, each.instance_path)),
        )
        # What has the wrong type is no value of a list of values either.
        mistyped = [each.instance_path for each in found if each.kind.name == "type"]
        for each in found:
            if each.kind.name == "type" or each.instance_path not in mistyped:
                yield from worded(each, self.strict)
