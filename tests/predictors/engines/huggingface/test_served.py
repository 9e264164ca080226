"""The engine behind a real server process: it stays alive, and notices who has gone."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.predictors.engines.huggingface.tiny_llama import write_tiny_llama


@pytest.fixture(scope="module")
def server(start_server, tmp_path_factory):
    """Has room for one query at a time, and a context that takes seconds to fill."""
    model_dir = write_tiny_llama(
        tmp_path_factory.mktemp("long"), endless=True, max_position_embeddings=8192
    )
    return start_server(
        *("predictors", "--model_name", "tiny", "--engine", "huggingface"),
        *("--model_dir", str(model_dir), "--max_batch_size", "1", "--threads", "1"),
        ready="/v2/models/tiny/ready",
    )


def infer(server, max_tokens: int, timeout: float = 60) -> httpx.Response:
    tensor = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["hello"]}
    parameters = {"max_tokens": max_tokens, "temperature": 0}
    return httpx.post(
        f"{server.url}/v2/models/tiny/infer",
        json={"inputs": [tensor], "parameters": parameters},
        timeout=timeout,
    )


def test_health_is_answered_while_it_generates(server):
    with ThreadPoolExecutor(1) as pool, httpx.Client() as client:
        answer = pool.submit(infer, server, 1000)
        waits = []
        while not answer.done():
            start = time.perf_counter()
            assert client.get(f"{server.url}/v2/health/live", timeout=5).status_code == 200
            waits.append(time.perf_counter() - start)
        outputs = {o["name"]: o["data"] for o in answer.result().json()["outputs"]}
    assert outputs["completion_tokens"] == [1000]
    assert len(waits) > 10
    assert sorted(waits)[len(waits) // 2] < 0.1


def test_a_client_that_hangs_up_frees_the_only_place(server):
    """8000 tokens would take many times as long as 400."""
    start = time.perf_counter()
    infer(server, 400)
    part = time.perf_counter() - start
    with pytest.raises(httpx.ReadTimeout):
        infer(server, 8000, timeout=part)
    start = time.perf_counter()
    assert infer(server, 3).status_code == 200
    assert time.perf_counter() - start < 5 * part


def test_a_query_longer_than_the_context_is_a_400_with_both_numbers(server):
    tensor = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["x" * 8192]}
    response = httpx.post(f"{server.url}/v2/models/tiny/infer", json={"inputs": [tensor]})
    assert response.status_code == 400
    assert "8194 tokens" in response.json()["error"]
    assert "8192 tokens" in response.json()["error"]


def test_a_broken_model_directory_is_one_line_and_no_server(tmp_path):
    (tmp_path / "config.json").write_text("{")
    command = [sys.executable, "-m", "predictors", "--engine", "huggingface"]
    done = subprocess.run(
        [*command, "--model_dir", str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stdout + done.stderr == (
        f"error: model_dir {tmp_path}: config.json can't be read: Expecting property name "
        "enclosed in double quotes: line 1 column 2 (char 1)\n"
    )
