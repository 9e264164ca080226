"""Cached answers of one tenant are no other's: the gateway knows whose call it is by its token, and
tells predictors of ours, and nobody else."""

import json
from pathlib import Path

import httpx
import pytest

from predictors.contract import Query, text_request
from predictors.upstream.tenant import HEADER, tenant
from tests.conftest import ServerProcess, StartServer
from tests.predictors.upstream.far_side import FarSide
from tests.predictors.upstream.test_v2_transports import linked
from tests.transformers_hem.gateway.gateway_under_test import chat

TOKENS = [{"name": "a", "key": "sk-a"}, {"name": "b", "key": "sk-b"}]


@pytest.fixture(scope="module")
def predictor(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    """Its answers tell how many were computed; one is imported by the operator."""
    imported = tmp_path_factory.mktemp("cache") / "answers.jsonl"
    row = {"query": "imported?", "text": "yes", "parameters": {"temperature": 0}}
    imported.write_text(json.dumps(row))
    return start_server(
        "tests.predictors.cache.counting",
        *("--model_name", "m", "--engine", "counting", "--temperature", "0"),
        *("--cache", "memory", "--cache_import", str(imported)),
        ready="/v2/models/m/ready",
    )


@pytest.fixture(scope="module")
def gateway(
    start_server: StartServer, predictor: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> ServerProcess:
    tokens = tmp_path_factory.mktemp("tokens") / "tokens"
    tokens.write_text(json.dumps({"tokens": TOKENS}))
    return start_server(
        "transformers_hem",
        *("--model_name", "qa-hem"),
        env={
            "HEM_ALGORITHM": "CloudOnly",
            "HEM_EDGE_URL": predictor.url,
            "HEM_CLOUD_URL": predictor.url,
            "HEM_API_KEYS_FILE": str(tokens),
        },
        ready="/v2/models/qa-hem/ready",
    )


def answer(gateway: ServerProcess, key: str, text: str, claims: str = "", **fields: bool) -> str:
    """`claims`: the tenant that the caller says to be."""
    headers = {"authorization": f"Bearer {key}", **({HEADER: claims} if claims else {})}
    body = {**chat(text, stream=False), **fields}
    told = httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers)
    return str(told.json()["choices"][0]["message"]["content"])


def test_two_tenants_share_no_answer(gateway: ServerProcess) -> None:
    first, second = answer(gateway, "sk-a", "secret?"), answer(gateway, "sk-b", "secret?")
    assert first != second
    assert answer(gateway, "sk-a", "secret?") == first
    assert answer(gateway, "sk-b", "secret?") == second


def test_nobody_gets_anothers_by_saying_to_be_another(gateway: ServerProcess) -> None:
    first = answer(gateway, "sk-a", "mine?")
    assert answer(gateway, "sk-b", "mine?", claims="a") != first
    assert answer(gateway, "sk-a", "mine?", claims="b") == first


def test_what_the_operator_imported_is_everybodys(gateway: ServerProcess) -> None:
    assert answer(gateway, "sk-a", "imported?") == answer(gateway, "sk-b", "imported?") == "yes"


def infer(predictor: ServerProcess, text: str, whose: str = "") -> str:
    headers = {HEADER: whose} if whose else {}
    url = f"{predictor.url}/v2/models/m/infer"
    outputs = httpx.post(url, json=text_request([text], {}), headers=headers).json()["outputs"]
    return str(next(each["data"][0] for each in outputs if each["name"] == "text_output"))


def test_v2_knows_tenants_and_without_one_all_share(predictor: ServerProcess) -> None:
    shared = infer(predictor, "v2?")
    assert infer(predictor, "v2?") == shared
    assert len({shared, infer(predictor, "v2?", "a"), infer(predictor, "v2?", "b")}) == 3


def test_tenants_may_share_where_an_operator_says_so(start_server: StartServer) -> None:
    server = start_server(
        "tests.predictors.cache.counting",
        *("--model_name", "m", "--engine", "counting", "--temperature", "0"),
        *("--cache", "memory", "--cache_by_tenant", "false"),
        ready="/v2/models/m/ready",
    )
    assert infer(server, "x?", "a") == infer(server, "x?", "b") == infer(server, "x?")


async def test_an_uplink_passes_a_tenant_on_to_servers_of_ours() -> None:
    with FarSide() as far:
        async with linked(far.url, "rest") as uplink:
            for whose in ("a", ""):
                with tenant(whose):
                    await uplink.generate([Query("x")])
        asked = [each for each in far.requests if each.path.endswith("/infer")]
    assert [each.headers.get(HEADER) for each in asked] == ["a", None]


async def test_servers_of_others_are_told_no_tenant(tmp_path: Path) -> None:
    from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings

    with FarSide() as far:
        settings = OpenAIAPISettings(url=f"{far.url}/v1", upstream_model="m", retries=0)
        engine = OpenAIAPIEngine(settings)
        await engine.start()
        with tenant("a"):
            await engine.generate([Query("x")])
        await engine.close()
    assert far.requests
    assert all(HEADER not in each.headers for each in far.requests)
