"""The Triton model that ships answers as the huggingface engine does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from predictors.contract import Query, Sampling
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.engines.triton import TritonEngine, TritonSettings
from predictors.errors import ConfigurationError
from predictors.servers.triton.repository import write_repository
from tests.tritonserver import StartTriton, TritonServer

GREEDY = Sampling(temperature=0, max_tokens=24)
QUESTIONS = ["What is 12 + 7?", "What is 3 * 4?", "Reverse abc.", "What is 250 - 13?", "hello"]


def test_what_is_no_model_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a Hugging Face directory"):
        write_repository(tmp_path / "repository", {"m": str(tmp_path)})
    with pytest.raises(ConfigurationError, match="'a/b' can't be a model's name"):
        write_repository(tmp_path / "repository", {"a/b": "embedded:edge"})
    write_repository(tmp_path / "repository", {"m": "embedded:edge"})
    with pytest.raises(ConfigurationError, match="can't write"):
        write_repository(tmp_path / "repository", {"m": "embedded:edge"})


@pytest.fixture(scope="module")
def embedded(start_triton: StartTriton, tmp_path_factory: pytest.TempPathFactory) -> TritonServer:
    repository = tmp_path_factory.mktemp("models")
    write_repository(repository, {"edge": "embedded:edge"})
    return start_triton(repository)


@pytest.fixture
async def triton(embedded: TritonServer) -> AsyncIterator[TritonEngine]:
    engine = TritonEngine(TritonSettings(url=embedded.grpc, upstream_model="edge"))
    await engine.start()
    yield engine
    await engine.close()


@pytest.mark.engines
async def test_greedy_answers_and_telemetry_are_those_of_the_huggingface_engine(
    triton: TritonEngine,
) -> None:
    engine = HuggingFaceEngine(HuggingFaceSettings(model_dir="embedded:edge"))
    await engine.start()
    queries = [Query(question, GREEDY) for question in QUESTIONS]
    expected = await engine.generate(queries)
    await engine.close()
    found = await triton.generate(queries)
    for name in ("text", "prompt_tokens", "completion_tokens"):
        assert [getattr(a, name) for a in found] == [getattr(a, name) for a in expected]
    for name in ("mean_logprob", "min_logprob", "mean_margin"):
        values = [getattr(answer, name) for answer in expected]
        assert [getattr(a, name) for a in found] == pytest.approx(values, abs=1e-3)
    assert all(answer.time_to_first_token for answer in found)


@pytest.mark.engines
async def test_a_stream_has_a_part_for_each_token_and_the_telemetry_with_the_last(
    triton: TritonEngine,
) -> None:
    for question in QUESTIONS:
        (whole,) = await triton.generate([Query(question, GREEDY)])
        *parts, last = [delta async for delta in triton.stream(Query(question, GREEDY))]
        assert "".join(part.text for part in parts) + last.text == whole.text
        assert last.answer is not None
        assert last.finish_reason == "stop"
        assert whole.completion_tokens == len(parts) + 1  # the one that ends it has no text
        names = ("text", "prompt_tokens", "completion_tokens")
        assert [getattr(last.answer, name) for name in names] == [
            getattr(whole, name) for name in names
        ]
        for name in ("mean_logprob", "min_logprob", "mean_margin"):
            assert getattr(last.answer, name) == pytest.approx(getattr(whole, name), abs=1e-4)


@pytest.mark.engines
async def test_an_answer_that_is_cut_says_so(triton: TritonEngine) -> None:
    cut = Query("What is 12 + 7?", Sampling(temperature=0, max_tokens=1))
    *_, last = [delta async for delta in triton.stream(cut)]
    assert last.finish_reason == "length"


@pytest.mark.engines
async def test_no_part_of_a_stop_string_is_streamed(triton: TritonEngine) -> None:
    (plain,) = await triton.generate([Query("What is 250 - 13?", GREEDY)])
    assert len(plain.text) > 2
    stopped = Sampling(temperature=0, stop=(plain.text[1:3],), max_tokens=24)
    parts = [delta.text async for delta in triton.stream(Query("What is 250 - 13?", stopped))]
    assert "".join(parts) == plain.text[0]


@pytest.mark.engines
async def test_seeds_and_stop_strings_do_as_they_say(triton: TritonEngine) -> None:
    hot = Sampling(temperature=1.5, top_p=1.0, seed=5, max_tokens=12)
    first, second = [(await triton.generate([Query("hello", hot)]))[0].text for _ in range(2)]
    assert first == second
    (plain,) = await triton.generate([Query("What is 12 + 7?", GREEDY)])
    stopped = Sampling(temperature=0, stop=(plain.text[-1],), max_tokens=24)
    (cut,) = await triton.generate([Query("What is 12 + 7?", stopped)])
    assert cut.text == plain.text[: plain.text.index(plain.text[-1])]
