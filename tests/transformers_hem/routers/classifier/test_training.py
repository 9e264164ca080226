"""`hem train` of routers with an encoder: what comes out, and what bad input is answered with."""

import json
import shutil
from pathlib import Path

import pytest

from inferencegraph.cli import main
from predictors.errors import ConfigurationError
from tests.transformers_hem.encoder_routers import ROWS, additions, write_rows
from tests.transformers_hem.tiny_models import write_bert
from transformers_hem.algorithms.base import Batch
from transformers_hem.routers.scoring import open_router, score_file
from transformers_hem.routers.training import train

NAMES = ("BERTRouter", "KernelRouter", "KNNRouter", "LLMRouter")


@pytest.mark.parametrize("name", NAMES)
def test_a_router_learns_what_is_hard(encoder_routers: dict[str, Path], name: str) -> None:
    router = open_router(str(encoder_routers[name]))
    scores = router.score(Batch(2, texts=("easy what is 5 + 9 ?", "hard what is 5 + 9 ?")))
    assert router.default_threshold is not None
    assert scores[0] <= router.default_threshold < scores[1]


@pytest.mark.parametrize("name", NAMES)
def test_its_configuration_says_where_it_is_from_and_no_places(
    encoder_routers: dict[str, Path], name: str
) -> None:
    text = (encoder_routers[name] / "config.json").read_text()
    config = json.loads(text)
    assert (config["version"], config["algorithm"], config["rows"]) == (1, name, ROWS)
    assert config["encoder"] == ("llama" if name == "LLMRouter" else "bert")
    every = name in ("KNNRouter", "KernelRouter")
    assert config["held_out_rows"] == (ROWS if every else ROWS // 10)
    assert {"apgr", "auroc", "ece"} <= config["metrics"].keys()
    assert str(encoder_routers[name].parent) not in text
    held = {path.name for path in encoder_routers[name].rglob("*") if path.is_file()}
    weights = "model.onnx" if name == "KNNRouter" else "model.safetensors"
    extra = {"KNNRouter": {"neighbours.safetensors"}, "KernelRouter": {"kernel.safetensors"}}
    assert held == {
        "config.json",
        "tokenizer.json",
        "training_rows.bin",
        weights,
        *extra.get(name, set()),
    }


def test_the_same_seed_gives_the_same_bytes(
    encoder_routers: dict[str, Path], tmp_path: Path
) -> None:
    room = encoder_routers["BERTRouter"].parent
    parameters = {"encoder": str(room / "bert"), "epochs": "1", "max_tokens": "32"}
    for out, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(room / "rows.jsonl", "BERTRouter", tmp_path / out, seed=seed, parameters=parameters)
    for name in ("config.json", "encoder/model.safetensors"):
        content = [(tmp_path / out / name).read_bytes() for out in ("a", "b", "c")]
        assert content[0] == content[1] != content[2]


def test_an_onnx_router_is_tested_as_it_is_served(
    encoder_routers: dict[str, Path], tmp_path: Path
) -> None:
    room = encoder_routers["BERTRouter"].parent
    parameters = {
        "encoder": str(encoder_routers["BERTRouter"] / "encoder"),
        "epochs": "0.2",
        "learning_rate": "1e-6",
        "format": "int8",
        "max_tokens": "32",
    }
    train(room / "rows.jsonl", "BERTRouter", tmp_path / "router", parameters=parameters)
    held = {path.name for path in (tmp_path / "router" / "encoder").iterdir()}
    assert held == {"config.json", "tokenizer.json", "model.onnx"}
    metrics = json.loads((tmp_path / "router" / "config.json").read_text())["metrics"]
    assert abs(metrics["apgr_lost_in_int8"]) < 0.1
    rows = [{"id": i, "query": row["query"]} for i, row in enumerate(additions(20))]
    queries = write_rows(tmp_path / "queries.jsonl", rows)
    assert score_file(tmp_path / "router", queries, tmp_path / "scores.jsonl") == 20
    lines = (tmp_path / "scores.jsonl").read_text().splitlines()
    scores = [json.loads(line)["score"] for line in lines]
    assert sum(scores[0::2]) / 10 < sum(scores[1::2]) / 10 - 0.2


def test_the_command_takes_an_encoder_and_settings(
    encoder_routers: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    room = encoder_routers["BERTRouter"].parent
    data, out = ["--data", str(room / "rows.jsonl")], ["--out", str(tmp_path / "router")]
    chosen = ["--encoder", str(room / "bert"), "--set", "max_tokens=32"]
    with pytest.raises(SystemExit) as ended:
        main(["train", "--algorithm", "KNNRouter", *data, *out, *chosen, "--json"])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["rows"] == ROWS


@pytest.mark.parametrize(
    ("algorithm", "settings", "fault"),
    [
        ("BERTRouter", (), "parameter 'encoder' is missing"),
        ("LinearRouter", ("encoder=x",), "no parameter 'encoder'"),
        ("BERTRouter", ("encoder=x", "epoch=2"), "did you mean 'epochs'"),
        ("BERTRouter", ("encoder=x", "epochs=many"), "parameter 'epochs' can't be 'many'"),
        ("KNNRouter", ("encoder=x", "epochs=2"), "no parameter 'epochs'"),
        ("KernelRouter", ("encoder=x", "gamma=0"), "parameter 'gamma' can't be '0'"),
        ("BERTRouter", ("encoder",), "--set 'encoder' must be NAME=VALUE"),
        ("BERTRouter", ("encoder=/no/such", "epochs=1"), "/no/such does not exist"),
        ("BERTRouter", ("encoder=/no/such", "encoder=/x"), "set twice"),
    ],
)
def test_a_bad_setting_is_told_in_one_line_and_leaves_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    algorithm: str,
    settings: tuple[str, ...],
    fault: str,
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", additions(80))
    given = [argument for setting in settings for argument in ("--set", setting)]
    command = ["--data", str(data), "--algorithm", algorithm, "--out", str(tmp_path / "router")]
    with pytest.raises(SystemExit) as ended:
        main(["train", *command, *given])
    assert ended.value.code == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert fault in told[-1] and told[-1].startswith("hem: error:")
    assert list(tmp_path.iterdir()) == [data]


def test_an_encoder_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", additions(80))
    encoder = write_bert(tmp_path / "bert")
    (encoder / "model.safetensors").write_bytes(b"x" * 20)
    for algorithm in ("BERTRouter", "KNNRouter", "KernelRouter"):
        parameters = {"encoder": str(encoder), "max_tokens": "32"}
        with pytest.raises(ConfigurationError, match=r"model\.safetensors is truncated"):
            train(data, algorithm, tmp_path / "router", parameters=parameters)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bert", "rows.jsonl"]


def test_too_few_rows_to_set_some_apart_are_refused(
    encoder_routers: dict[str, Path], tmp_path: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", additions(20))
    parameters = {"encoder": str(encoder_routers["BERTRouter"].parent / "bert")}
    with pytest.raises(ConfigurationError, match=r"20 rows, .* are too few .* LinearRouter"):
        train(data, "BERTRouter", tmp_path / "router", parameters=parameters)


@pytest.mark.parametrize("name", NAMES)
def test_a_router_whose_files_changed_is_refused(
    encoder_routers: dict[str, Path], tmp_path: Path, name: str
) -> None:
    router = tmp_path / "router"
    shutil.copytree(encoder_routers[name], router)
    tokenizer = next(router.rglob("tokenizer.json"))
    tokenizer.write_text(tokenizer.read_text() + " ")
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json is damaged, or belongs to"):
        open_router(str(router))
    tokenizer.unlink()
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json: No such file"):
        open_router(str(router))


def test_a_router_of_one_algorithm_is_not_anothers(encoder_routers: dict[str, Path]) -> None:
    from transformers_hem.routers.classifier.score import (
        BERTParameters,
        BERTRouter,
        LLMRouter,
    )

    for kind, other in ((BERTRouter, "LLMRouter"), (LLMRouter, "KNNRouter")):
        with pytest.raises(ConfigurationError, match=f"is a {other}'s, not {kind.name}'s"):
            kind(BERTParameters(router=str(encoder_routers[other])))
    with pytest.raises(ConfigurationError, match="linear is a LinearRouter's, not BERTRouter's"):
        BERTRouter(BERTParameters(router="embedded:linear"))
