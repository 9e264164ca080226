"""OpenCompass against a gateway, on files laid out as MMLU's and CMMLU's: `make opencompass`."""

import asyncio
import csv
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from predictors.embedded import directory
from tests.conftest import ROOT
from tests.transformers_hem.gateway.gateway_under_test import gateway
from tests.transformers_hem.gateway.scripted_side import scripted_side, whole

pytestmark = pytest.mark.slow

FILES: Final = ROOT / "tests" / "data" / "opencompass"
OPENCOMPASS: Final = shutil.which(str(ROOT / ".venv-opencompass" / "bin" / "opencompass"))
# By OpenCompass's name of each: the test file.
SETS: Final = {
    "lukaemon_mmlu_miscellaneous": FILES / "data/mmlu/test/miscellaneous_test.csv",
    "cmmlu-elementary_commonsense": FILES / "data/cmmlu/test/elementary_commonsense.csv",
}
LETTERS: Final = {"edge": "B", "cloud": "C"}


def run(url: str, out: Path) -> None:
    assert OPENCOMPASS is not None
    told = {
        "HF_HUB_OFFLINE": "1",
        "COMPASS_DATA_CACHE": str(FILES),
        "TOKENIZER": str(directory("edge")),
        "GATEWAY": url,
    }
    done = subprocess.run(
        [OPENCOMPASS, str(FILES / "site.py"), "-w", str(out), "--debug"],
        capture_output=True,
        text=True,
        cwd=out,
        env={**os.environ, **told},
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def messages(prompt: list[dict[str, str]]) -> list[dict[str, str]]:
    roles = {"HUMAN": "user", "BOT": "assistant"}
    return [{"role": roles[turn["role"]], "content": turn["prompt"]} for turn in prompt]


async def said(client: httpx.AsyncClient, prompt: list[dict[str, str]]) -> str:
    body = {"model": "qa", "messages": messages(prompt), "temperature": 0, "max_tokens": 16}
    answer = await client.post("/v1/chat/completions", json=body)
    return str(answer.json()["choices"][0]["message"]["content"])


def found(out: Path) -> tuple[dict[str, list[dict[str, Any]]], dict[str, float]]:
    """The answers of each set in their order, and its accuracy in percent."""
    answers = {}
    for name in SETS:
        (file,) = out.glob(f"*/predictions/qa/{name}.json")
        by_number = json.loads(file.read_text())
        answers[name] = [by_number[number] for number in sorted(by_number, key=int)]
    (summary,) = out.glob("*/summary/*.csv")
    with summary.open() as lines:
        accuracies = {row["dataset"]: float(row["qa"]) for row in csv.DictReader(lines)}
    return answers, accuracies


@pytest.mark.skipif(OPENCOMPASS is None, reason="OpenCompass is absent: run `make opencompass`")
async def test_its_figures_are_those_of_direct_questions(tmp_path: Path) -> None:
    async with (
        scripted_side(lambda _: whole("m", LETTERS["edge"])) as edge,
        scripted_side(lambda _: whole("m", LETTERS["cloud"])) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, algorithm="RandomRouter") as client,
    ):
        url = str(client.base_url).rstrip("/") + "/v1"
        await asyncio.to_thread(run, url, tmp_path)
        assert edge.asked and cloud.asked
        answers, accuracies = found(tmp_path)
        for name, file in SETS.items():
            rows = list(csv.reader(file.read_text().splitlines()))
            keys = [row[-1] for row in (rows[1:] if "cmmlu" in name else rows)]
            texts = [await said(client, each["origin_prompt"]) for each in answers[name]]
            assert [each["prediction"] for each in answers[name]] == texts
            right = sum(text == key for text, key in zip(texts, keys, strict=True))
            assert accuracies[name] == pytest.approx(100 * right / len(keys))
            assert 0 < right < len(keys)
