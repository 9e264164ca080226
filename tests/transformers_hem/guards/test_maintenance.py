"""A file sends everything to one side; it may come, change and go."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from predictors.errors import ConfigurationError
from tests.waiting import eventually
from transformers_hem.algorithms.base import Batch
from transformers_hem.guards.maintenance import MaintenanceGuard, MaintenanceParameters
from transformers_hem.guards.settings import load_guard

BATCH = Batch(1, ("x",))
NOON = 1_796_040_000.0  # 2026-11-30T12:00Z


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "maintenance"


def switched(file: Path, now: float = NOON) -> MaintenanceGuard:
    return MaintenanceGuard(MaintenanceParameters(file=str(file)), now=lambda: now)


@pytest.mark.parametrize(
    ("content", "route"),
    [
        ("", "edge"),
        ("edge\n", "edge"),
        (" cloud ", "cloud"),
        ('{"route": "cloud"}', "cloud"),
        ('{"until": "2026-11-30T12:01Z"}', "edge"),
        ('{"route": "cloud", "until": "2026-11-30T13:00:00+02:00"}', None),  # an hour ago
        ('{"route": "cloud", "until": "2026-11-30T11:59:59Z", "why": "disks"}', None),
    ],
)
def test_the_file_says_where_everything_goes(content: str, route: str | None, file: Path) -> None:
    file.write_text(content)
    guard = switched(file)
    assert guard.route(BATCH) == route
    guard.close()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"nowhere", "must say edge or cloud, not 'nowhere'"),
        (b'{"route": 1}', "must say edge or cloud, not 1"),
        (b'{"until": "noon"}', "until must be a time, as 2026-11-30T12:00Z, not 'noon'"),
        (b'{"site": "a"}', "'site' is none of route, until and why"),
        (b'{"route"', "unexpected end|unclosed|EOF"),
        (b"\xff\xfe", "must say edge or cloud"),
    ],
)
def test_a_file_that_says_nothing_clear_counts_as_the_guards_route(
    content: bytes, fault: str, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_bytes(content)
    guard = switched(file)
    assert guard.route(BATCH) == "edge"
    (line,) = (record.getMessage() for record in caplog.records)
    assert str(file) in line and "it counts as edge" in line
    guard.close()
    if content != b'{"route"':
        assert fault in line


@pytest.fixture
def quick(file: Path) -> Iterator[MaintenanceGuard]:
    guard = MaintenanceGuard(MaintenanceParameters(file=str(file)), seconds=0.01)
    yield guard
    guard.close()


def test_it_may_come_change_and_go(
    quick: MaintenanceGuard, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def turns(route: str | None) -> None:
        eventually(lambda: quick.route(BATCH) == route)

    assert quick.route(BATCH) is None
    file.write_text("cloud")
    turns("cloud")
    file.write_text("edge")
    turns("edge")
    file.unlink()
    turns(None)
    over = f"maintenance: over, {file} is not there"
    eventually(lambda: caplog.messages[-1] == over)
    assert len(caplog.messages) <= 4  # a file is empty for a moment while it is written


def test_a_file_has_to_be_named() -> None:
    with pytest.raises(ConfigurationError, match="parameter 'file' is missing"):
        load_guard("MaintenanceGuard", {})
