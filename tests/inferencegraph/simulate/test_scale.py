"""docs/scale.md: its tables are those that the script makes."""

import pytest

from inferencegraph.simulate.objects import objects_of
from inferencegraph.simulate.scale import NODES, line, load_rows, object_row
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "scale.md"


@pytest.mark.parametrize("nodes", NODES)
def test_the_page_has_the_objects_that_are_rendered(nodes: int) -> None:
    assert line(object_row(nodes)) in PAGE.read_text()


def test_the_page_has_the_load_that_is_simulated() -> None:
    """Of 10 nodes; the others take minutes."""
    page = PAGE.read_text()
    for row in load_rows(10):
        assert line(row) in page


def test_each_node_is_35_objects_and_the_cloud_9() -> None:
    one, two = objects_of(1), objects_of(2)
    assert (two.all - one.all, one.all) == (35, 44)
