"""`hem retrain`, as a user runs it."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.cli import main
from tests.transformers_hem.retraining.queries import EASY, HARD, Store, queries, write_rows
from tests.transformers_hem.versions.routers import promising, router_with
from transformers_hem.retraining.wanted import LIMITS
from transformers_hem.routers.training import train
from transformers_hem.versions.locks import RETRAIN as LOCK, held
from transformers_hem.versions.told import CHECKED, RETRAINED, told


class Hem:
    """Runs `hem retrain --router FOLDER` in this process."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capture = folder, capture
        self.error = ""

    def __call__(self, *arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["retrain", "--router", str(self.folder), *arguments])
        printed = self._capture.readouterr()
        self.error = printed.err
        return int(ended.value.code or 0), printed.out

    def facts(self, *arguments: str) -> Any:
        code, printed = self(*arguments, "--json")
        assert code == 0, self.error
        return json.loads(printed)


@pytest.fixture
def hem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Hem:
    return Hem(tmp_path / "versions", capsys)


def test_versions_are_added_listed_and_rolled_back(hem: Hem, tmp_path: Path) -> None:
    router = router_with(0.3, tmp_path / "mine")
    assert hem("--add", "embedded:linear", "--first")[0] == 0
    assert (
        hem("--add", router, "--first")[1] == "version 1 is in force already; nothing was added\n"
    )
    assert hem("--add", router)[1] == (
        f"version 2 is in force: {router}, added by hand\n"
        "it promises nothing, so that no check can watch it\n"
    )
    listed = hem.facts("--versions")
    assert listed["current"] == 2
    assert [each["number"] for each in listed["versions"]] == [1, 2]
    assert [each["how"] for each in listed["switches"]] == ["added", "added"]
    assert hem("--rollback")[1] == "version 1 is in force again, instead of 2\n"
    assert hem("--rollback", "2")[1] == "version 2 is in force again, instead of 1\n"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_versions_are_legible_in_a_terminal_of_any_width(
    hem: Hem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    hem("--add", promising(0.4, 0.25, tmp_path / "router"))
    hem("--add", router_with(0.3, tmp_path / "mine"))
    hem("--rollback")
    monkeypatch.setenv("COLUMNS", str(width))
    shown = hem("--versions")[1].splitlines()
    assert max(map(len, shown)) <= width
    assert all(line == line.rstrip() for line in shown)
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    assert shown[0] == "versions (* is in force; times are UTC)"
    assert shown[1].startswith(f"* 1  {day} ") and " LinearRouter, added" in shown[1]
    two, switches = (shown.index(line) for line in shown if line.startswith(("  2  ", "switches")))
    assert "promises nothing" in " ".join(shown[two:switches])
    promise = " ".join(shown[1:two]).partition("added ")[2]
    assert " ".join(promise.split()).startswith("60.0% of the queries at the edge, a quality loss")
    assert len(shown[1:two]) <= 4  # a sentence, and no strip
    assert shown[-1].startswith(day) and shown[-1].endswith("back to 1  by hand")


def test_piped_versions_are_a_line_each(
    hem: Hem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hem("--add", promising(0.4, 0.25, tmp_path / "router"))
    monkeypatch.delenv("COLUMNS", raising=False)
    _, version, _, _, switch = hem("--versions")[1].splitlines()
    assert "LinearRouter, added  60.0% of the queries at the edge, " in version
    assert switch.endswith("router, added by hand")


def test_a_retraining_tells_and_writes_what_it_did(hem: Hem, tmp_path: Path) -> None:
    start = write_rows(tmp_path / "few.jsonl", queries(80, 1, hard=EASY[:2] + HARD[:2]))
    train(start, "LinearRouter", tmp_path / "start")
    hem("--add", str(tmp_path / "start"))
    base = str(write_rows(tmp_path / "base.jsonl", queries(1200, 2)))
    code, printed = hem("--data", base, "--dry-run", "--report", str(tmp_path / "report.html"))
    assert code == 0
    assert "nothing was switched, as --dry-run says: the challenger orders" in printed
    assert "it would promise " in printed
    page = (tmp_path / "report.html").read_text()
    assert "A try: nothing was switched" in page and "<svg" in page
    facts = hem.facts("--data", base)
    assert (facts["promoted"], facts["version"], facts["rows"]) == (True, 2, {"base": 1200})
    assert Path(facts["report"]).parent.parent == hem.folder / "reports"
    assert "Version 2 is in force" in Path(facts["report"]).read_text()
    assert facts["peak_mebibytes"] > 10 and facts["seconds"]["training"] > 0


def test_an_edge_share_is_promised_of_all_that_is_decided(hem: Hem, tmp_path: Path) -> None:
    start = write_rows(tmp_path / "few.jsonl", queries(80, 1, hard=EASY[:2] + HARD[:2]))
    train(start, "LinearRouter", tmp_path / "start")
    hem("--add", str(tmp_path / "start"))
    store = Store(tmp_path / "feedback.db")
    for seed, route in enumerate(("edge", "cloud")):
        store.shadows(queries(150, seed), 1000.0, route=route, text=False)
    store.decides((query for query, *_ in queries(1700, 7)), 2000.0, text=False)
    code, printed = hem("--store", store.path, "--edge-ratio", "0.6")
    store.close()
    assert code == 0, hem.error
    first, promise, switched, _ = printed.splitlines()
    learned, drawn = map(int, re.findall(r"(?:from|on) (\d+)", first))
    assert f"calibrated on {drawn} of the newest 2,000 queries (300 shadow)" in first
    assert promise.startswith("it promises ") and promise.endswith(f"from {drawn} rows")
    assert switched.startswith("version 2 is in force") and 230 < learned < 280
    (report,) = (hem.folder / "reports").glob("*/report.html")
    page = report.read_text()
    assert "of the newest 2,000 queries that were decided" in page
    assert "No picture of quality: the threshold stands on queries alone" in page
    assert f'held out of training</td><td class="number">{300 - learned}' in page


def test_too_little_is_a_success_which_says_so(hem: Hem, tmp_path: Path) -> None:
    hem("--add", "embedded:linear")
    store = Store(tmp_path / "feedback.db")
    store.shadows(queries(12, 1), 1000.0)
    code, printed = hem("--store", store.path)
    store.close()
    assert code == 0, hem.error
    first, why, _ = printed.splitlines()
    assert first == "nothing was trained; rows: 12 shadow"
    assert why.startswith("not promoted, version 1 stays: too little yet: 12 rows of feedback")


def test_a_retraining_beside_another_one_says_to_try_again(hem: Hem, tmp_path: Path) -> None:
    base = str(write_rows(tmp_path / "base.jsonl", queries(120, 2)))
    hem("--add", "embedded:linear")
    with held(hem.folder, LOCK, "a retraining"):
        code, printed = hem("--data", base)
    assert (code, printed) == (3, "")
    assert "is busy: a retraining, by process" in hem.error


def test_a_report_that_can_not_be_written_is_refused_before_the_work(
    hem: Hem, tmp_path: Path
) -> None:
    base = str(write_rows(tmp_path / "base.jsonl", queries(1200, 2)))
    for report, why in ((tmp_path, "is a folder"), (tmp_path / "no" / "r.html", "no folder")):
        code, printed = hem("--data", base, "--report", str(report))
        assert (code, printed) == (2, "") and f"--report {report}" in hem.error
        assert why in hem.error
    assert not hem.folder.exists() or not list(hem.folder.iterdir())


def test_a_check_needs_a_store_and_what_is_wrong_makes_no_folder(hem: Hem) -> None:
    assert hem("--versions")[0] == 2 and not hem.folder.exists()
    hem("--add", "embedded:linear")
    assert hem("--check") == (2, "") and "a check needs --store" in hem.error


def test_a_better_router_that_can_not_be_put_in_force_is_an_error(hem: Hem, tmp_path: Path) -> None:
    """A file stands where the next version would go. What was found is kept, and told."""
    start = write_rows(tmp_path / "few.jsonl", queries(80, 1, hard=EASY[:2] + HARD[:2]))
    train(start, "LinearRouter", tmp_path / "start")
    hem("--add", str(tmp_path / "start"))
    (hem.folder / "2").touch()
    code, printed = hem("--data", str(write_rows(tmp_path / "base.jsonl", queries(1200, 2))))
    assert code == 2 and "2 can't be written: Not a directory" in hem.error
    assert "not promoted, version 1 stays: the challenger orders queries better" in printed
    assert told(hem.folder, RETRAINED)["result"] == "failed"


def test_what_became_of_a_retraining_is_told_where_nothing_can_be_written(
    hem: Hem, tmp_path: Path
) -> None:
    base = str(write_rows(tmp_path / "base.jsonl", queries(120, 2)))
    hem("--add", "embedded:linear")
    (hem.folder / RETRAINED).mkdir()
    assert hem("--data", base)[0] == 2
    assert "nothing changed: " in hem.error and "; but " in hem.error
    (hem.folder / RETRAINED).rmdir()
    (hem.folder / "reports").touch()
    assert hem("--data", base)[0] == 2
    assert "not promoted, version 1 stays: " in hem.error and "reports can't be wr" in hem.error


def test_help_and_report_state_the_subsample(hem: Hem, tmp_path: Path) -> None:
    shown = " ".join(hem("--help")[1].replace("│", " ").split())
    assert f"and {LIMITS['KernelRouter']} for a KernelRouter" in shown
    base = str(write_rows(tmp_path / "base.jsonl", queries(400, 2)))
    code, printed = hem("--data", base, "--dry-run", "--limit", "300")
    assert code == 0, hem.error
    stated = "a subsample: 300 of 400 rows, the newest half and a draw of the others (--limit)"
    assert stated in printed
    (report,) = (hem.folder / "reports").glob("*/report.html")
    assert stated in report.read_text()


def test_a_check_without_enough_pairs_leaves_all_as_it_is(hem: Hem, tmp_path: Path) -> None:
    hem("--add", "embedded:linear")
    store = Store(tmp_path / "feedback.db")
    code, printed = hem("--check", "--store", store.path)
    assert code == 0
    assert printed == "version 1 promises no quality loss: there is nothing to check\n"
    (hem.folder / CHECKED).unlink()
    (hem.folder / CHECKED).mkdir()  # nothing can be written in its place
    assert hem("--check", "--store", store.path) == (2, printed)
    assert "checked.json can't be written" in hem.error
    store.close()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--add", "embedded:linear", "--rollback"], "give one of --add, --rollback"),
        (["3"], "3 is a version to go back to: give --rollback, too"),
        (["--first"], "--first goes with --add"),
        ([], "there is nothing to learn from: name a store of feedback with --store"),
        (["--rollback"], "there is no such folder; `hem retrain --router "),
        (["--check", "--store", "feedback.db"], "there is no such folder"),
        (["--versions"], "there is no such folder"),
        (["--router", __file__, "--versions"], "is a file, and not a folder of versions"),
        (["--max-quality-loss", "nan"], "nan is not a number; see hem retrain --help"),
        (["--add", "embedded:linear", "--dry-run"], "--dry-run goes with a retraining or --check"),
        (["--rollback", "--dry-run"], "and not with --rollback: nothing was done"),
        (["--add", "embedded:linear", "--max-quality-loss", "0.1"], "--max-quality-loss goes with"),
        (["--check", "--report", "report.html"], "--report goes with a retraining, and not with"),
        (["--check", "--max-quality-loss", "0"], "--max-quality-loss goes with a retraining, and"),
        (["--versions", "--significance", "0.2"], "--significance goes with a retraining, and"),
        (["--add", "embedded:nothing"], "unknown router 'embedded:nothing'"),
        (["--add", "nowhere"], "no router in nowhere: config.json: No such file or directory"),
        (["--data", "rows.jsonl", "--edge-ratio", "0.5", "--max-quality-loss", "0.1"], "give one"),
    ],
)
def test_what_can_not_be_done_is_told(hem: Hem, arguments: list[str], why: str) -> None:
    code, printed = hem(*arguments)
    assert (code, printed) == (2, "")
    assert why in hem.error and hem.error.startswith("hem: error: ")
