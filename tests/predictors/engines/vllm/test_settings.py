"""Settings reach vLLM, and those about speed change no answer."""

from dataclasses import replace

import pytest

from predictors.contract import Query
from predictors.contract.openai.fields import LOGIT_BIAS
from predictors.engines.vllm.engine import VLLMEngine
from predictors.engines.vllm.settings import VLLMSettings
from predictors.errors import InvalidRequest
from tests.predictors.engines.vllm.conftest import GREEDY, queries

pytestmark = [
    pytest.mark.engines,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]


async def test_settings_reach_vllm_and_answers_stay(huggingface) -> None:
    engine = VLLMEngine(
        VLLMSettings(
            model_dir=huggingface.settings.model_dir,
            enforce_eager=True,
            max_model_len=96,
            max_num_seqs=3,
            kv_cache_gib=0.25,
            enable_prefix_caching=False,
            speculative_config={
                "method": "ngram",
                "num_speculative_tokens": 3,
                "prompt_lookup_max": 3,
            },
            engine_args={"block_size": 64, "disable_log_stats": True},
        )
    )
    await engine.start()
    try:
        config = engine.llm.vllm_config
        assert config.model_config.max_model_len == 96
        assert config.scheduler_config.max_num_seqs == 3
        assert config.cache_config.kv_cache_memory_bytes == 1 << 28
        assert config.cache_config.enable_prefix_caching is False
        assert config.cache_config.block_size == 64
        assert config.speculative_config.num_speculative_tokens == 3
        asked = queries(100)
        here, there = await engine.generate(asked), await huggingface.generate(asked)
        assert [a.text for a in here] == [a.text for a in there]
        assert [a.completion_tokens for a in here] == [a.completion_tokens for a in there]
        for ours, theirs in zip(here, there, strict=True):
            assert ours.mean_logprob == pytest.approx(theirs.mean_logprob, abs=1e-3)
        # Several tokens at a time, some of them behind a stop string, and no biases.
        stopped = replace(GREEDY, stop=("0", "12"))
        for query, whole in zip(
            asked[:20], await engine.generate(queries(100, stopped)), strict=False
        ):
            parts = [
                p async for p in engine.stream(replace(query, sampling=stopped, top_logprobs=2))
            ]
            last = parts[-1].answer
            assert "".join(part.text for part in parts) == last.text == whole.text
            assert last.completion_tokens == whole.completion_tokens
            assert last.mean_logprob == pytest.approx(whole.mean_logprob, abs=1e-3)
        assert LOGIT_BIAS not in engine.takes and LOGIT_BIAS in VLLMEngine.takes
        # disable_log_stats: times aren't measured, and none are made up.
        assert here[0].time_to_first_token is None
        with pytest.raises(InvalidRequest, match="context of 96 tokens"):
            await engine.generate([Query("1 + " * 60, GREEDY)])
    finally:
        await engine.close()
