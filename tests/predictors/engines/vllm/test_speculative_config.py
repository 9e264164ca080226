"""vLLM's own speculative decoding, both models on one machine: by the engine's option, and by the
block of a spec, which vLLM's own server reads."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.engines.vllm.engine import VLLMEngine
from predictors.engines.vllm.settings import VLLMSettings
from tests.inferencegraph.spec.documents import engine_file, read, spec
from tests.predictors.engines.vllm.conftest import queries

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]

LARGE, SMALL = "embedded:cloud", "embedded:edge"


@pytest.mark.asyncio(loop_scope="module")
async def test_answers_stay_where_a_small_model_drafts_in_vllm() -> None:
    drafts = {"method": "draft_model", "model": SMALL, "num_speculative_tokens": 3}
    given = {"model_dir": LARGE, "enforce_eager": True, "max_model_len": 128, "max_num_seqs": 4}
    engine = VLLMEngine(VLLMSettings(**given, speculative_config=drafts))
    alone = HuggingFaceEngine(HuggingFaceSettings(model_dir=LARGE))
    try:
        await engine.start()
        await alone.start()
        asked = queries(30)
        here, there = await engine.generate(asked), await alone.generate(asked)
    finally:
        await engine.close()
        await alone.close()
    assert [each.text for each in here] == [each.text for each in there]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            {"method": "ngram", "numSpeculativeTokens": 4},
            {"method": "ngram", "numSpeculativeTokens": 4},
        ),
        (
            {"method": "draft_model", "model": "Qwen/Qwen3-0.6B", "num_speculative_tokens": 4},
            {"method": "draft_model", "model": "Qwen/Qwen3-0.6B", "num_speculative_tokens": 4},
        ),
    ],
)
def test_vllm_s_server_reads_what_a_spec_says(
    tmp_path: Path, block: dict[str, Any], expected: dict[str, Any]
) -> None:
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    side = {
        "model": {"hub": "Qwen/Qwen3-8B"},
        "resource": {"limits": {"gpus": 1}},
        "inferenceConfig": {"engine": "vllm-server", "vllmConfig": {"speculativeConfig": block}},
    }
    file = tmp_path / "engine.yaml"
    file.write_text(yaml.safe_dump(engine_file(read(spec(cloud=side)), "shop-cloud-engine")))
    parser = make_arg_parser(FlexibleArgumentParser())
    assert parser.parse_args(["--config", str(file)]).speculative_config == expected
