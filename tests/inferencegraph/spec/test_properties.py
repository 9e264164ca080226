"""Any spec that is valid renders to valid objects, and to the same bytes each time."""

import copy
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings

from inferencegraph.check.validate import validate
from inferencegraph.read.documents import Document
from inferencegraph.spec.output import to_text
from inferencegraph.spec.reading import expanded
from tests.inferencegraph.build.crds import FILES, OTHERS, violations
from tests.inferencegraph.spec.strategies import specs

EXAMPLES = 500


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(specs())
def test_what_a_valid_spec_renders_is_valid_and_always_the_same(
    shared: Path, content: dict[str, Any]
) -> None:
    document = Document(Path("spec.yaml"), content)
    found = expanded([document])
    assert [problem for problem in found.problems if problem.severity == "error"] == []
    objects = [each.content for each in found.documents]
    errors = [each for each in validate(objects, complete=True) if each.severity == "error"]
    assert errors == []
    for each in objects:
        if each["kind"] in (*FILES, *OTHERS):
            assert violations(shared / "crds", each) == []
    again = expanded([Document(document.path, copy.deepcopy(content))])
    assert to_text(again.documents) == to_text(found.documents)
