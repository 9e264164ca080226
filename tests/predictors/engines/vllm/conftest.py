"""The real vLLM on the CPU, with the embedded models; `make test-engines-vllm` has it installed.

A model takes half a minute to start, so that few are: compiling (which changes no answer) is off.
"""

import json
import shutil
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import pytest_asyncio

from predictors.contract import Answer, Message, Query, Sampling
from predictors.embedded import directory
from predictors.embedded.workshop.questions import test_questions as shipped_questions
from predictors.engines.base import TextEngine
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings

if find_spec("vllm") is None:
    collect_ignore_glob = ["test_*.py"]

GREEDY = Sampling(max_tokens=48, temperature=0.0, repetition_penalty=1.0)


def queries(count: int, sampling: Sampling = GREEDY) -> list[Query]:
    """Shipped test questions of every family and difficulty."""
    questions = shipped_questions()
    return [Query(q.query, sampling) for q in questions[:: len(questions) // count][:count]]


def cut(asked: list[Query], answers: list[Answer]) -> list[tuple[Query, str]]:
    """Each answer cut before each of its characters, and what is to come."""
    return [
        (
            Query(
                query.text,
                GREEDY,
                (Message("user", query.text), Message("assistant", answer.text[:place])),
                continues=True,
            ),
            answer.text[place:],
        )
        for query, answer in zip(asked, answers, strict=True)
        for place in range(len(answer.text))
    ]


def write_endless(model: str, into: Path) -> Path:
    """A copy of an embedded model in which the padding token, never chosen, ends an answer."""
    shutil.copytree(directory(model), into)
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        content = json.loads((into / name).read_text())
        ends = {"eos_token": "<|pad|>"} if "eos_token" in content else {"eos_token_id": 0}
        (into / name).write_text(json.dumps({**content, **ends}))
    return into


@pytest.fixture(scope="session", params=["embedded:edge", "embedded:cloud"])
def model_dir(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(model_dir: str) -> AsyncIterator[TextEngine]:
    from predictors.engines.vllm.engine import VLLMEngine
    from predictors.engines.vllm.settings import VLLMSettings

    engine = VLLMEngine(VLLMSettings(model_dir=model_dir, enforce_eager=True))
    await engine.start()
    yield engine
    await engine.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def huggingface(model_dir: str) -> AsyncIterator[TextEngine]:
    engine = HuggingFaceEngine(HuggingFaceSettings(model_dir=model_dir))
    await engine.start()
    yield engine
    await engine.close()
