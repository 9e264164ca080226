"""EleutherAI's harness against a site's gateway: its figures are those of direct questions, and its
loglikelihoods those of transformers alone."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import httpx
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from predictors.embedded import directory
from predictors.jsonl import read_rows
from tests.conftest import ROOT, ServerProcess, StartServer

TASKS: Final = ROOT / "tests" / "data" / "lm_eval"
RUNS: Final = ROOT / "tests" / "e2e" / "lm_eval_runs.py"
ANSWERS, CHOICES = "embedded_answers", "embedded_choices"
ROWS: Final = [row for _, row in read_rows(TASKS / "questions.jsonl")]
# As the tasks and the harness ask.
ASKED: Final = {"temperature": 0, "max_tokens": 16, "stop": ["\n"]}


@pytest.fixture(scope="module")
def url(start_server: StartServer) -> str:
    """A gateway in front of the embedded pair."""
    sides = {
        side: start_server(
            *("predictors", "--model_name", f"qa-{side}", "--model_dir", f"embedded:{side}"),
            *("--temperature", "0", "--repetition_penalty", "1"),
        )
        for side in ("edge", "cloud")
    }
    gateway = start_server(
        *("transformers_hem", "--model_name", "qa-hem"),
        env={
            "HEM_ALGORITHM": "LinearRouter",
            "HEM_ROUTER": "embedded:linear",
            "HEM_HOST": "127.0.0.1",
            **{f"HEM_{side.upper()}_URL": server.url for side, server in sides.items()},
            **{f"HEM_{side.upper()}_MODEL": f"qa-{side}" for side in sides},
        },
    )
    servers: Mapping[str, ServerProcess] = {**sides, "hem": gateway}
    for name, server in servers.items():
        server.wait_ready(f"/v2/models/qa-{name}/ready", timeout=180)
    return f"{gateway.url}/v1"


@pytest.fixture(scope="module")
def found(url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the harness says of each run: {results, samples}."""
    completions = {
        "base_url": f"{url}/completions",
        "num_concurrent": 4,
        "tokenizer": str(directory("edge")),  # the cloud's is the same
        "tokenizer_backend": "huggingface",
    }
    runs = {
        "chats": {
            "model": "local-chat-completions",
            "model_args": {"model": "qa", "base_url": f"{url}/chat/completions"},
            "tasks": [ANSWERS],
            "apply_chat_template": True,
        },
        "token ids": {
            "model": "local-completions",
            "model_args": {**completions, "model": "qa-edge"},
            "batch_size": 4,
            "tasks": [ANSWERS, CHOICES],
            "apply_chat_template": True,
        },
        "texts": {
            "model": "local-completions",
            "model_args": {**completions, "model": "qa", "tokenized_requests": False},
            "tasks": [ANSWERS, CHOICES],
        },
    }
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path_factory.mktemp("hf"))}
    told = subprocess.run(
        [sys.executable, str(RUNS)],
        input=json.dumps(list(runs.values())),
        capture_output=True,
        text=True,
        cwd=TASKS,
        env={**os.environ, **offline},
        timeout=280,
    )
    assert told.returncode == 0, told.stderr[-4000:]
    return dict(zip(runs, json.loads(told.stdout), strict=True))


def completion(url: str, **fields: Any) -> dict[str, Any]:
    answer = httpx.post(f"{url}/completions", json={**ASKED, **fields}, timeout=60)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def chatted(url: str, model: str, query: str) -> str:
    messages = [{"role": "user", "content": query}]
    body = {**ASKED, "model": model, "messages": messages}
    answer = httpx.post(f"{url}/chat/completions", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Of so small a model more of them only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def checkpoint(side: str) -> tuple[Any, Any]:
    """Model and tokenizer, as transformers alone loads them."""
    model = AutoModelForCausalLM.from_pretrained(directory(side), dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(directory(side))


def likelihood(side: str, context: str, choice: str) -> tuple[float, bool]:
    """The logarithm of how probable a choice is behind its context, and whether it is the model's
    own."""
    model, tokenizer = checkpoint(side)
    begin, tokens = len(tokenizer.encode(context)), tokenizer.encode(context + choice)
    with torch.no_grad():
        logprobs = model(torch.tensor([tokens])).logits[0, :-1].log_softmax(-1)
    behind = logprobs[begin - 1 :]
    answer = torch.tensor(tokens[begin:])
    total = behind.gather(1, answer[:, None]).sum()
    return float(total), bool((behind.argmax(-1) == answer).all())


def in_order(run: dict[str, Any], task: str) -> list[dict[str, Any]]:
    samples = sorted(run["samples"][task], key=lambda sample: int(sample["doc_id"]))
    assert [sample["doc"]["query"] for sample in samples] == [row["query"] for row in ROWS]
    return samples


def assert_answers(run: dict[str, Any], direct: list[str]) -> None:
    """The same texts, and the share of right ones among them."""
    assert [sample["resps"][0][0] for sample in in_order(run, ANSWERS)] == direct
    right = [text == row["answer"] for text, row in zip(direct, ROWS, strict=True)]
    assert run["results"][ANSWERS]["exact_match,none"] == pytest.approx(sum(right) / len(ROWS))


def assert_likelihoods(run: dict[str, Any], direct: list[list[tuple[float, bool]]]) -> None:
    samples = in_order(run, CHOICES)
    for sample, expected in zip(samples, direct, strict=True):
        given = [each[0] for each in sample["resps"]]
        assert [value for value, _ in given] == pytest.approx([v for v, _ in expected], abs=1e-3)
        assert [greedy for _, greedy in given] == [greedy for _, greedy in expected]
    likeliest = [max(range(4), key=lambda place: values[place][0]) for values in direct]
    right = [row["choices"][n] == row["answer"] for n, row in zip(likeliest, ROWS, strict=True)]
    assert run["results"][CHOICES]["acc,none"] == pytest.approx(sum(right) / len(ROWS))


def test_chats_are_scored_as_the_site_answers_them(
    url: str, found: dict[str, dict[str, Any]]
) -> None:
    assert_answers(found["chats"], [chatted(url, "qa", row["query"]) for row in ROWS])


def test_completions_of_token_ids_are_scored_as_the_edge_answers_and_computes(
    url: str, found: dict[str, dict[str, Any]]
) -> None:
    run = found["token ids"]
    assert_answers(run, [chatted(url, "qa-edge", row["query"]) for row in ROWS])
    _, tokenizer = checkpoint("edge")
    expected = []
    for row in ROWS:
        messages = [{"role": "user", "content": row["query"]}]
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        expected.append([likelihood("edge", prompt, choice) for choice in row["choices"]])
    assert_likelihoods(run, expected)
    assert run["results"][CHOICES]["acc,none"] > 0.5  # a guess has 0.25


def test_completions_of_texts_are_scored_by_the_side_that_each_is_routed_to(
    url: str, found: dict[str, dict[str, Any]]
) -> None:
    run, served = found["texts"], set()
    asked = [completion(url, model="qa", prompt=row["query"]) for row in ROWS]
    assert_answers(run, [answer["choices"][0]["text"] for answer in asked])
    expected = []
    for row in ROWS:
        values = []
        for choice in row["choices"]:
            prompt = row["query"] + choice
            told = completion(url, model="qa", prompt=prompt, max_tokens=1, echo=True, logprobs=1)
            route = told["hem"]["route"]
            served.add(route)
            values.append(likelihood(route, row["query"], choice))
        expected.append(values)
    assert_likelihoods(run, expected)
    assert served == {"edge", "cloud"}
