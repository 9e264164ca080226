"""The findings of an object, by whatever definition it has."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inferencegraph.check.containers import mapping
from inferencegraph.check.definitions.definition import Definition
from inferencegraph.check.fields import check_type
from inferencegraph.check.kserve_types import GROUP
from inferencegraph.check.problem import Finding, error, note


class Definitions:
    """All that a folder or a cluster defines. Later ones of the same kind and version win.

    judged: the objects go to the API server as well, which evaluates the rules in CEL.
    """

    def __init__(self, found: Sequence[Definition], *, judged: bool = False) -> None:
        self._known = {(each.api_version, each.kind): each for each in found}
        self._judged = judged

    def of(self, content: Mapping[str, Any]) -> Definition | None:
        return self._known.get((str(content.get("apiVersion")), str(content.get("kind"))))

    def check(self, content: Mapping[str, Any]) -> Iterator[Finding]:
        """By the whole schema of its kind; what isn't custom has none here.

        Raises ConfigurationError where a schema can't be read.
        """
        definition = self.of(content)
        if definition is None:
            yield from self._undefined(content)
            return
        if not definition.served:
            yield error("apiVersion", f"{definition.api_version} is not served any more")
        yield from check_type(mapping(content.get("metadata")), "V1ObjectMeta", "metadata")
        yield from definition.findings(content)
        if definition.rules and not self._judged:
            yield note(
                "kind",
                f"{definition.rules} rules of {definition.kind}'s CRD are in CEL and not checked; "
                "hem validate --server has them judged",
            )

    def _undefined(self, content: Mapping[str, Any]) -> Iterator[Finding]:
        """Of a kind that the folder has in other versions only, or that is KServe's."""
        group, _, version = str(content.get("apiVersion")).rpartition("/")
        kind = content.get("kind")
        same = [each for each in self._known.values() if (each.group, each.kind) == (group, kind)]
        if same:
            versions = ", ".join(sorted(each.version for each in same))
            yield error(
                "apiVersion",
                f"{group} has no {kind} in version {version!r}; its CRD has {versions}",
            )
        elif self._known and group == GROUP and not self._judged:
            yield note("kind", f"no CRD of {kind} is among the given ones; by KServe 0.20's fields")
