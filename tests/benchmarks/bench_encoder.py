"""What a decision by an encoder costs on one core: onnxruntime beside torch, one query at a time,
and beside a BERT router of RouteLLM's size (XLM-R base)."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import pytest
import torch

from tests.conftest import ROOT
from tests.transformers_hem.encoder_routers import minilm as minilm
from transformers_hem import embedded
from transformers_hem.algorithms.base import Batch
from transformers_hem.routers.classifier.score import BERTParameters, BERTRouter
from transformers_hem.routers.encoder.directory import EncoderDirectory
from transformers_hem.routers.encoder.runner import QueryTokens
from transformers_hem.routers.encoder.torch_network import load_model
from transformers_hem.routers.encoder.training import Format, write_encoder
from transformers_hem.routers.kernel.score import KernelParameters, KernelRouter

pytestmark = pytest.mark.benchmark

QUERIES = 40
ROUNDS = 3
FORMATS: tuple[Format, ...] = ("safetensors", "onnx", "int8")
Decide = Callable[[str], object]


@pytest.fixture(scope="module")
def queries() -> list[str]:
    """MMLU prompts, or texts of their length: 59 tokens in the middle, one in ten beyond 110."""
    path = ROOT.parent / "shared/data/mmlu_mixtral_gpt4.jsonl.gz"
    if path.is_file():
        rows = gzip.decompress(path.read_bytes()).splitlines()
        return [json.loads(row)["query"] for row in rows[:: len(rows) // QUERIES]][:QUERIES]
    words = ["which", "of", "these", "is", "the", "most", "likely", "cause", "here", "?"]
    return [" ".join(words[i % 10] for i in range(n, 2 * n)) for n in range(30, 110, 2)]


@pytest.fixture(scope="module")
def one_core() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def router(minilm: Path, folder: Path, written: Format) -> BERTRouter:
    source = EncoderDirectory.open(str(minilm), 256)
    model = load_model(source, output="logits", num_labels=2)
    write_encoder(model, QueryTokens(source), folder / written, written, output="logits")
    chosen = {"model": str(folder / written), "hard_label": "difference", "threads": 1}
    return BERTRouter(BERTParameters.model_validate(chosen))


def of_routellms_size(minilm: Path) -> Decide:
    """278M random parameters: only their number matters here."""
    from transformers import AutoModelForSequenceClassification, XLMRobertaConfig

    config = XLMRobertaConfig(vocab_size=250_002, max_position_embeddings=514, num_labels=3)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    tokens = QueryTokens(EncoderDirectory.open(str(minilm), 256))

    def decide(query: str) -> object:
        padded = tokens.pad(tokens.rows([query]))
        with torch.inference_mode():
            return model(
                input_ids=torch.from_numpy(padded.ids),
                attention_mask=torch.from_numpy(padded.mask),
            )

    return decide


def milliseconds(decide: Decide, queries: list[str]) -> list[float]:
    found = []
    for query in queries:
        started = time.perf_counter()
        decide(query)
        found.append((time.perf_counter() - started) * 1000)
    return found


def test_a_small_encoder_by_onnxruntime_decides_in_milliseconds(
    minilm: Path, queries: list[str], tmp_path: Path, one_core: None
) -> None:
    contenders: dict[str, Decide] = {"xlm_r_base_torch": of_routellms_size(minilm)}
    for written in FORMATS:
        made = router(minilm, tmp_path, written)
        name = {"safetensors": "minilm_torch"}.get(written, f"minilm_{written}")
        contenders[name] = lambda query, made=made: made.score(Batch(1, texts=(query,)))
    best = KernelRouter(KernelParameters(threads=1))
    contenders["embedded_best"] = lambda query: best.score(Batch(1, texts=(query,)))
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for decide in contenders.values():
        milliseconds(decide, queries[:3])
    for _ in range(ROUNDS):
        for name, decide in contenders.items():
            spent[name] += milliseconds(decide, queries)
    p50 = {name: round(median(values), 2) for name, values in spent.items()}
    faster = {n: round(p50["minilm_torch"] / p50[f"minilm_{n}"], 2) for n in ("onnx", "int8")}
    megabytes = {n: (tmp_path / n / "model.onnx").stat().st_size / 1e6 for n in ("onnx", "int8")}
    files = embedded.directory("embedded:best").rglob("*")
    megabytes["embedded_best"] = sum(f.stat().st_size for f in files if f.is_file()) / 1e6
    print(
        json.dumps(
            {
                "benchmark": "encoder",
                "queries": len(queries),
                "p50_ms": p50,
                "times_faster_than_torch": faster,
                "megabytes": {name: round(size, 1) for name, size in megabytes.items()},
            }
        )
    )
    assert faster["onnx"] >= 1.5
    assert faster["int8"] >= 2.5
    assert p50["embedded_best"] <= 10
    assert megabytes["embedded_best"] <= 50
