"""A folder with a version in force, and a store of what came back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.transformers_hem.retraining.queries import EASY, HARD, Store, queries, write_rows
from transformers_hem.routers.training import train
from transformers_hem.versions.folder import Versions
from transformers_hem.versions.record import Origin


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A router that knows of a few queries, with other topics hard than now."""
    folder = tmp_path_factory.mktemp("start")
    rows = write_rows(folder / "few.jsonl", queries(80, 1, hard=EASY[:2] + HARD[:2]))
    train(rows, "LinearRouter", folder / "router")
    return folder / "router"


@pytest.fixture
def versions(tmp_path: Path, start: Path) -> Versions:
    found = Versions.at(tmp_path / "versions")
    found.promote(str(start), Origin(how="added"), "", None, how="added")
    return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "feedback.db")
    yield made
    made.close()
