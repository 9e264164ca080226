"""Thousands of malformed requests to OpenAI's paths: no 5xx, no hang, good ones are answered."""

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from tests.conftest import ServerProcess, StartServer
from tests.fuzz.odd_requests import Odd, odd_requests

pytestmark = pytest.mark.slow

# Of each kind of requests to each of two servers.
FEW: Final = 375
MANY: Final = 2_500
SECONDS: Final = 30.0  # for one answer; a hang is a failure
GOOD: Final[dict[str, Any]] = {
    "messages": [{"role": "user", "content": "1 + 1?"}],
    "max_tokens": 4,
    "temperature": 0,
}


@pytest.fixture(scope="module")
def predictor(start_server: StartServer) -> ServerProcess:
    return start_server(
        *("predictors", "--model_name", "m", "--model_dir", "embedded:edge", "--max_tokens", "8"),
        ready="/v2/models/m/ready",
    )


@pytest.fixture(scope="module", params=["predictor", "gateway"])
def server(
    request: pytest.FixtureRequest, predictor: ServerProcess, start_server: StartServer
) -> ServerProcess:
    if request.param == "predictor":
        return predictor
    sides = {"HEM_EDGE_URL": predictor.url, "HEM_CLOUD_URL": predictor.url}
    env = {"HEM_ALGORITHM": "CloudOnly", "HEM_SITE": "m", "HEM_HOST": "127.0.0.1", **sides}
    return start_server(
        *("transformers_hem", "--model_name", "m-hem"), env=env, ready="/v2/models/m-hem/ready"
    )


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=SECONDS) as client:
        yield client


def run(examples: int) -> Any:
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def assert_answered(answer: httpx.Response, sent: object) -> None:
    assert answer.status_code < 500, (sent, answer.status_code, answer.text)
    if answer.status_code >= 400 and answer.headers.get("content-type") == "application/json":
        assert answer.json().get("error"), (sent, answer.text)
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        assert answer.text.endswith("data: [DONE]\n\n"), (sent, answer.text)


def assert_well(client: httpx.Client) -> None:
    answer = client.post("/v1/chat/completions", json={"model": "m", **GOOD})
    assert answer.status_code == 200, answer.text


def mutate(client: httpx.Client, examples: int) -> None:
    @run(examples)
    @given(odd_requests("m"))
    def asked(odd: Odd) -> None:
        answer = client.request(
            odd.method, odd.path, content=odd.content, headers=dict(odd.headers)
        )
        assert_answered(answer, odd)

    asked()
    assert_well(client)


def generate(client: httpx.Client, examples: int) -> None:
    """By the server's own description, half of them against it."""
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    schema.config.base_url = str(client.base_url)
    for path in ("/v1/chat/completions", "/v1/completions"):
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            cases = schema[path]["POST"].as_strategy(generation_mode=mode)

            @run(examples // 4)
            @given(cases)
            def asked(case: Any) -> None:
                if isinstance(case.body, dict):
                    case.body["model"] = "m"
                answer = case.call(timeout=SECONDS)
                assert answer.status_code < 500, (case.body, answer.text)

            asked()
    assert_well(client)


KINDS = {"mutated": mutate, "generated": generate}


@pytest.mark.parametrize("kind", KINDS)
def test_malformed_requests_are_the_callers_fault(client: httpx.Client, kind: str) -> None:
    KINDS[kind](client, FEW)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_malformed_requests_are_the_callers_fault(
    client: httpx.Client, kind: str
) -> None:
    KINDS[kind](client, MANY)


def test_the_description_has_the_fields_of_a_chat_and_a_completion(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path, required in (("chat/completions", "messages"), ("completions", "prompt")):
        body = paths[f"/v1/{path}"]["post"]["requestBody"]
        schema = body["content"]["application/json"]["schema"]
        assert schema["required"] == ["model", required]
        assert schema["additionalProperties"] is False
        assert "$ref" not in str(schema)
