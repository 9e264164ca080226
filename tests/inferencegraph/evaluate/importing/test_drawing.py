"""Drawing from a stream, and remembering what was there."""

from pathlib import Path

from inferencegraph.evaluate.importing.drawing import Reservoir, Seen
from tests.inferencegraph.evaluate.importing import imported


def drawn(limit: int, seed: int, count: int = 50) -> list[bytes]:
    reservoir = Reservoir(limit, seed)
    for number in range(count):
        reservoir.add(b"%03d" % number)
    return reservoir.lines()


def test_a_draw_is_in_order_without_doubles_and_the_seeds_own() -> None:
    assert drawn(10, 1) == drawn(10, 1) == sorted(set(drawn(10, 1)))
    assert len(drawn(10, 1)) == 10 and drawn(10, 1) != drawn(10, 2)
    assert len(drawn(100, 1)) == 50


def test_each_line_is_as_likely_as_any_other() -> None:
    draws = 4000
    counts = dict.fromkeys(drawn(20, 0, 20), 0)
    for seed in range(draws):
        for line in drawn(5, seed, 20):
            counts[line] += 1
    expected, deviation = draws / 4, (draws * 3 / 16) ** 0.5
    assert all(abs(count - expected) < 5 * deviation for count in counts.values())


def test_a_text_is_new_once_however_many_there_are() -> None:
    seen = Seen()
    assert all(seen.add(f"text {number}") for number in range(30_000))
    assert not any(seen.add(f"text {number}") for number in range(30_000))
    assert seen.add("another") and seen.add("")


def test_a_limit_draws_rows_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "q.txt"
    path.write_text("".join(f"question {number}\n" for number in range(200)))
    rows, report = imported(tmp_path, "text", path, limit=20, seed=3)
    again, _ = imported(tmp_path, "text", path, limit=20, seed=3)
    other, _ = imported(tmp_path, "text", path, limit=20, seed=4)
    assert len(rows) == report.written == 20 and rows == again != other
    assert report.read == 200
