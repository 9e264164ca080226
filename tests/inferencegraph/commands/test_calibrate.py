"""`hem calibrate`, from rows to a threshold that HEM serves."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from inferencegraph.cli import main
from tests.conftest import StartServer
from transformers_hem.gateway.page.curve import about_threshold
from transformers_hem.routers.training import train
from transformers_hem.serving.promised import promised_by
from transformers_hem.serving.settings import HEMSettings, build_decider


def table(seed: int, count: int = 600) -> list[dict[str, Any]]:
    """Sums are easy for the edge, towns are not."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in rng.integers(0, 10**6, count):
        town = bool(number % 2)
        right = rng.random() > (0.6 if town else 0.05)
        text = f"Name town number {number}." if town else f"Add {number} and {number}."
        rows.append({"query": text, "edge_correct": int(right), "cloud_correct": 1})
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrate")
    train(write(folder / "train.jsonl", table(0)), "LinearRouter", folder / "router")
    write(folder / "held-out.jsonl", table(1))
    return folder


@pytest.fixture
def router(trained: Path, tmp_path: Path) -> Path:
    """A router of the test's own, not yet calibrated."""
    copy = tmp_path / "router"
    copy.mkdir()
    for file in (trained / "router").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


def calibrate(router: Path | str, data: Path, *arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["calibrate", "--router", str(router), "--data", str(data), *arguments])
    return int(end.value.code or 0)


def test_hem_serves_the_threshold_that_was_calibrated(
    trained: Path, router: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = build_decider(HEMSettings(router=str(router))).threshold
    data = trained / "held-out.jsonl"
    assert calibrate(router, data, "--max-quality-loss", "0.1", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    config = json.loads((router / "config.json").read_text())
    assert config["calibration"] == told
    assert told["version"] == 1 and told["rows"] == 600
    assert build_decider(HEMSettings(router=str(router))).threshold == told["threshold"] != before
    assert build_decider(HEMSettings(router=str(router), threshold=0.25)).threshold == 0.25
    assert config["threshold"] == before  # training's own stays on record
    assert config["scores"]["rows"] == 600  # drift is measured against the calibration's rows


def test_the_page_shows_what_was_promised_until_another_threshold_is_set(
    trained: Path, router: Path, tmp_path: Path
) -> None:
    def shown(**settings: float) -> tuple[dict[str, Any], str | None]:
        decider = build_decider(HEMSettings(router=str(router), **settings))
        promised = promised_by(decider)
        return about_threshold(decider), promised.promise if promised else None

    before, promise = shown()
    assert promise is None and before["curve"]["of"] == "training"
    assert before["run"] == (
        f"hem calibrate --router {router} --data LABELS.jsonl --edge-ratio 0.6"
    )
    data = trained / "held-out.jsonl"
    assert calibrate(router, data, "--max-quality-loss", "0.1") == 0
    after, promise = shown()
    assert promise is not None and "a quality loss against cloud-only of at most 0.1" in promise
    assert (after["curve"]["of"], after["curve"]["rows"], after["run"]) == (
        "calibration",
        600,
        None,
    )
    assert after["curve"]["quality"][0] == 1.0
    assert after["threshold"] in after["curve"]["thresholds"]
    by_hand, promise = shown(threshold=0.25)
    assert by_hand["threshold"] == 0.25 and promise is None and by_hand["run"]
    unlabelled = write(tmp_path / "queries.jsonl", [{"query": row["query"]} for row in table(2)])
    assert calibrate(router, unlabelled, "--edge-ratio", "0.5") == 0
    assert shown()[0]["curve"]["quality"] is None


def test_a_running_hem_says_the_calibrated_threshold(
    trained: Path, router: Path, start_server: StartServer
) -> None:
    assert calibrate(router, trained / "held-out.jsonl", "--edge-ratio", "0.5") == 0
    server = start_server(
        "transformers_hem",
        "--model_name",
        "hem",
        env={"HEM_ROUTER": str(router)},
        ready="/v2/models/hem/ready",
    )
    tensor = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["Add 3 and 3."]}
    decided = httpx.post(f"{server.url}/v2/models/hem/infer", json={"inputs": [tensor]}).json()
    config = json.loads((router / "config.json").read_text())
    assert decided["parameters"]["hem_threshold"] == config["calibration"]["threshold"]
    assert decided["parameters"]["hem_route"] == "edge"


def test_it_says_what_it_promises_and_draws_it(
    trained: Path, router: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "curve.png"
    data = trained / "held-out.jsonl"
    assert calibrate(router, data, "--edge-ratio", "0.5", "--plot", str(plot)) == 0
    assert "of the queries at the edge, " in capsys.readouterr().out
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert plot.stat().st_size > 20_000


def test_a_copy_is_calibrated_and_the_router_left_alone(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = trained / "held-out.jsonl", tmp_path / "copy"
    arguments = ("--budget", "600", "--out", str(out))
    assert calibrate(trained / "router", data, *arguments) == 0
    assert f"written to {out}" in capsys.readouterr().out
    assert "calibration" in json.loads((out / "config.json").read_text())
    assert json.loads((trained / "router" / "config.json").read_text())["calibration"] is None
    assert calibrate(trained / "router", data, *arguments) == 2


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--max-quality-loss", "0.0001"], "about "),
        (["--max-quality-loss", "0"], "above 0 and below 1"),
        (["--max-quality-loss", "1"], "above 0 and below 1"),
        ([], "give one of --edge-ratio"),
        (["--edge-ratio", "0.5", "--budget", "3"], "give one of --edge-ratio"),
        (["--edge-ratio", "1.5"], "--edge-ratio"),
        (["--edge-ratio", "nan"], "--edge-ratio"),
        (["--max-quality-loss", "inf"], "above 0 and below 1, the range of"),
        (["--budget", "nan"], "--budget"),
        (["--budget", "inf"], "'--budget': "),
        (["--budget", "3", "--confidence", "nan"], "--confidence"),
        (["--budget", "3", "--cloud-cost", "1e308"], "'--cloud-cost': "),
        (["--budget", "3", "--edge-cost", "inf"], "'--edge-cost': "),
        (["--edge-ratio", "0.5", "--plot", "curve.txt"], "must end in .png"),
        (["--edge-ratio", "0.5", "--algorithm", "Random"], "give one of --router and --algorithm"),
    ],
)
def test_what_can_not_be_promised_is_one_line_and_status_2(
    trained: Path,
    router: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    fault: str,
) -> None:
    before = (router / "config.json").read_bytes()
    assert calibrate(router, trained / "held-out.jsonl", *arguments) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert fault in shown
    assert (router / "config.json").read_bytes() == before


def test_rows_that_the_router_was_trained_on_promise_nothing(
    trained: Path, router: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(router, trained / "train.jsonl", "--edge-ratio", "0.5") == 2
    assert "is the file that this router was trained on" in capsys.readouterr().err


def test_the_shipped_router_is_calibrated_as_a_copy_only(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = trained / "held-out.jsonl"
    assert calibrate("embedded:linear", data, "--edge-ratio", "0.5") == 2
    assert "name a directory for the calibrated copy with --out" in capsys.readouterr().err


def test_an_algorithm_without_a_directory_gets_a_threshold_to_set(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {**row, "edge_mean_logprob": -0.001 * n - 0.3 * (1 - row["edge_correct"])}
        for n, row in enumerate(table(2))
    ]
    data = write(tmp_path / "answers.jsonl", rows)
    name = "ConfidenceRouter"
    with pytest.raises(SystemExit) as end:
        main(["calibrate", "--algorithm", name, "--data", str(data), "--max-quality-loss", "0.1"])
    assert not end.value.code
    assert "set HEM_THRESHOLD=0." in capsys.readouterr().out


Fields = dict[str, Any]


def doubtful(doubt: float) -> dict[str, Fields]:
    """By algorithm, what a row of that doubt, in [0, 1], has beside its query."""
    said = round(5 * doubt)
    return {
        "CrossEntropy": {"probabilities": [doubt / 2, 1 - doubt / 2]},
        "Threshold": {"boxes": [[0, 0, 9, 9, 1 - doubt, 3]]},
        "IBT": {"boxes": [[0, 0, 9, 9, float(n >= said), 3] for n in range(5)]},
        "SelfConsistency": {"edge_answer": "7", "samples": ["8"] * said + [" 7."] * (5 - said)},
    }


def calibrate_algorithm(name: str, data: Path, *arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["calibrate", "--algorithm", name, "--data", str(data), *arguments])
    return int(end.value.code or 0)


def answers(name: str, count: int = 1000) -> list[Fields]:
    """The edge is wrong as often as it is in doubt."""
    rng = np.random.default_rng(0)
    return [
        {
            "query": f"picture {number}",
            "edge_correct": int(rng.random() > doubt),
            "cloud_correct": 1,
            **doubtful(doubt)[name],
        }
        for number, doubt in enumerate(rng.random(count).tolist())
    ]


@pytest.mark.parametrize("name", doubtful(0))
def test_every_algorithm_of_the_answer_gets_a_threshold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    data = write(tmp_path / "answers.jsonl", answers(name))
    assert calibrate_algorithm(name, data, "--max-quality-loss", "0.15", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert 0.25 < told["edge_share"] < 0.6
    assert 0 < told["threshold"] < 1


def test_images_without_boxes_are_calibrated_on_as_they_are_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = answers("Threshold")
    for row in rows[::2]:
        row["boxes"] = []
    data = write(tmp_path / "answers.jsonl", rows)
    everything = ("--edge-ratio", "0.5", "--json")
    assert calibrate_algorithm("Threshold", data, *everything) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["edge_share"] == 0.5  # those with boxes; an image without any goes to the cloud
    rows[7]["boxes"] = rows[7]["boxes"] * 9
    write(tmp_path / "answers.jsonl", rows)
    assert calibrate_algorithm("Threshold", data, *everything) == 0
    assert json.loads(capsys.readouterr().out)["edge_share"] == 0.5


@pytest.mark.parametrize(
    ("name", "fields", "fault"),
    [
        ("CrossEntropy", {"probabilities": None}, "no list of numbers in 'probabilities', which"),
        ("CrossEntropy", {"probabilities": []}, "no list of numbers in 'probabilities'"),
        ("CrossEntropy", {"probabilities": [0.1, "0.9"]}, "no list of numbers in 'probabilities'"),
        ("CrossEntropy", {"probabilities": [1.0]}, "'probabilities' has 1 elements, not 2"),
        ("IBT", {"boxes": None}, "no list of boxes, each of 6 numbers, in 'boxes', which IBT"),
        ("Threshold", {"boxes": [[0, 0, 9, 9, 0.5]]}, "no list of boxes, each of 6 numbers"),
        ("SelfConsistency", {"samples": None}, "no list of texts in 'samples', which"),
        ("SelfConsistency", {"samples": ["7"] * 4}, "'samples' has 4 elements, not 5"),
        ("SelfConsistency", {"edge_answer": 7}, "no text in 'edge_answer', which"),
    ],
)
def test_a_row_without_what_the_algorithm_reads_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, fields: Fields, fault: str
) -> None:
    rows = answers(name, 40)
    rows[2] |= fields
    data = write(tmp_path / "answers.jsonl", rows)
    assert calibrate_algorithm(name, data, "--edge-ratio", "0.5") == 2
    assert f"line 3: {fault}" in capsys.readouterr().err


def test_telemetry_that_no_row_has_is_named(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = trained / "held-out.jsonl"
    assert calibrate_algorithm("ConfidenceRouter", data, "--edge-ratio", "0.5") == 2
    shown = capsys.readouterr().err
    assert "no number in 'edge_mean_logprob', which ConfidenceRouter reads; `hem label`" in shown


def test_rows_of_one_id_promise_nothing_even_without_labels(
    router: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": "a", "query": f"Add {number} and 1."} for number in range(40)]
    assert calibrate(router, write(tmp_path / "rows.jsonl", rows), "--edge-ratio", "0.5") == 2
    assert "line 2: id 'a' is line 1's too" in capsys.readouterr().err


def test_a_rule_on_the_first_tokens_is_calibrated_on_them_and_says_what_to_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {**row, "edge_prefixes": [{"tokens": 8, "mean_logprob": -float(doubt), "text": "a"}]}
        for row, doubt in zip(table(2), rng.random(600), strict=True)
    ]
    data = write(tmp_path / "answers.jsonl", rows)
    first = ("--edge-ratio", "0.5", "--parameters", '{"prefix_tokens": 8}')
    assert calibrate_algorithm("ConfidenceRouter", data, *first) == 0
    shown = capsys.readouterr().out
    assert "from 600 rows; decided on the first 8 tokens of each answer" in shown
    assert "set HEM_PARAMETERS='{\"prefix_tokens\": 8}' HEM_THRESHOLD=0." in shown
    other = ("--edge-ratio", "0.5", "--parameters", '{"prefix_tokens": 16}')
    assert calibrate_algorithm("ConfidenceRouter", data, *other) == 2
    assert "line 1: no prefix of 16 tokens in 'edge_prefixes', only of 8" in capsys.readouterr().err


def test_a_router_is_trained_and_calibrated_on_first_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(("train", "held-out")):
        rng = np.random.default_rng(seed)
        rows = [
            {**row, "edge_prefixes": [{"tokens": 8, "text": "a", **signals(rng.random())}]}
            for row in table(seed)
        ]
        write(tmp_path / name, rows)
    out = tmp_path / "router"
    options = ["--algorithm", "CombinedRouter", "--out", str(out), "--prefix-tokens", "8"]
    with pytest.raises(SystemExit) as end:
        main(["train", "--data", str(tmp_path / "train"), *options])
    assert not end.value.code
    assert "min_logprob of the first 8 tokens and query) learned" in capsys.readouterr().out
    assert calibrate(out, tmp_path / "held-out", "--edge-ratio", "0.5") == 0
    assert "decided on the first 8 tokens of each answer" in capsys.readouterr().out
    config = json.loads((out / "config.json").read_text())
    assert (config["prefix_tokens"], config["calibration"]["rows"]) == (8, 600)


def signals(doubt: float) -> Fields:
    return {"mean_logprob": -doubt, "min_logprob": -2 * doubt}
