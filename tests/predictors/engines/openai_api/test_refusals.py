"""What becomes of a request that the server refuses, in whole or for a field."""

from typing import Any

import pytest

from predictors.contract import Message, Query
from predictors.contract.openai.errors import InvalidField
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from predictors.errors import InvalidRequest
from predictors.settings import read_settings
from tests.predictors.engines.answering import answering
from tests.predictors.engines.openai_api.conftest import PLAIN, Ask
from tests.predictors.upstream.far_side import MODEL, FarSide
from tests.transformers_hem.labels.servers import says, serving

UNSUPPORTED = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."


@pytest.mark.parametrize(
    ("said", "fields", "kept"),
    [
        (UNSUPPORTED, {"max_tokens"}, {"max_completion_tokens", "logprobs", "top_logprobs"}),
        ("'logprobs' is not supported with this model", {"logprobs"}, {"max_tokens"}),
        ("Unrecognized request argument supplied: top_logprobs", {"top_logprobs"}, {"max_tokens"}),
        ("stream_options is not permitted", {"stream_options"}, {"max_tokens", "logprobs"}),
        ("you are not allowed to request logprobs", {"logprobs"}, {"max_tokens"}),
    ],
)
async def test_a_field_that_costs_no_answer_is_left_out_where_the_server_lacks_it(
    said: str, fields: set[str], kept: set[str]
) -> None:
    def reply(body: dict[str, Any]) -> tuple[int, Any]:
        return (400, {"error": {"message": said}}) if fields & body.keys() else says("yes")

    with serving(reply, "/v1") as server:
        settings = OpenAIAPISettings(url=server.url, upstream_model="m", stream=True)
        engine = OpenAIAPIEngine(settings)
        await engine.start()
        for _ in range(2):
            assert (await engine.generate([Query("x", PLAIN)]))[0].text == "yes"
        await engine.close()
    bodies = [body.keys() for _, body in server.requests]
    assert len(bodies) == 3
    assert kept <= bodies[1] and not fields & bodies[1]
    assert bodies[2] == bodies[1]


async def test_a_temperature_that_the_model_lacks_is_the_callers_to_leave_out() -> None:
    refusal = {"error": {"message": "x", "param": "temperature", "code": "unsupported_value"}}
    refusal["error"]["message"] = "Unsupported value: 0 with this model."
    with serving(lambda _: (400, refusal), "/v1") as server:
        engine = OpenAIAPIEngine(OpenAIAPISettings(url=server.url, upstream_model="gpt-5"))
        await engine.start()
        with pytest.raises(InvalidRequest, match=r"extra_body '\{\"temperature\": null\}'"):
            await engine.generate([Query("x", PLAIN)])
        await engine.close()
    assert len(server.requests) == 1
    assert "max_completion_tokens" in server.requests[0][1]


BEGUN = Query(
    "hello", PLAIN, (Message("user", "hello"), Message("assistant", "wor")), continues=True
)


@pytest.mark.parametrize("api", ["chat", "completions"])
async def test_an_answer_that_goes_on_is_asked_for_in_vllms_fields_or_as_a_text(
    far: FarSide, api: str
) -> None:
    far.requests.clear()
    settings = {"url": f"{far.url}/v1", "upstream_model": MODEL, "api": api}
    engine = OpenAIAPIEngine(read_settings(OpenAIAPISettings, settings))
    await engine.start()
    await engine.generate([BEGUN])
    await engine.close()
    body = far.requests[0].body
    if api == "completions":
        assert body["prompt"] == "hellowor"
        assert not {"continue_final_message", "add_generation_prompt"} & set(body)
        return
    assert body["messages"] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "wor"},
    ]
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)


BOTH = "Unrecognized request arguments supplied: add_generation_prompt, continue_final_message"
UNKNOWN = {"param": "add_generation_prompt", "code": "unknown_parameter"}
EXTRA = {"type": "extra_forbidden", "loc": ["body", "continue_final_message"], "msg": "Extra input"}
REFUSALS: dict[str, tuple[int, Any]] = {
    "OpenAI, both": (400, {"error": {"message": BOTH, "param": None, "code": None}}),
    "OpenAI, one": (400, {"error": {"message": "Unknown parameter: 'add_g...'.", **UNKNOWN}}),
    "FastAPI": (422, {"detail": [EXTRA]}),
    "a template": (400, {"error": {"message": "continue_final_message is set but", "code": 400}}),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "refusal"), REFUSALS.values(), ids=REFUSALS)
async def test_a_server_that_begins_every_answer_anew_refuses_the_one_field(
    status: int, refusal: Any, stream: bool
) -> None:
    with serving(lambda _: (status, refusal), "/v1") as server:
        engine = OpenAIAPIEngine(OpenAIAPISettings(url=server.url, upstream_model="m"))
        await engine.start()
        with pytest.raises(InvalidField) as refused:
            if stream:
                _ = [part async for part in engine.stream(BEGUN)]
            else:
                await engine.generate([BEGUN])
        await engine.close()
    assert (refused.value.status, refused.value.param) == (400, "continue_final_message")
    assert len(server.requests) == 1


async def test_a_refused_stream_says_why(ask: Ask) -> None:
    with pytest.raises(InvalidRequest, match="the far side's words"):
        await ask("status 400", stream="true")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"error": {"message": "too long", "type": "invalid_request_error"}}', "^too long$"),
        ('{"object": "error", "message": "too long", "code": 400}', "^too long$"),
        ('{"detail": [{"loc": ["body"], "msg": "too long"}]}', "too long"),
        ('{"error": "too long"}', "^too long$"),
        ("too\n long", "^too long$"),
        ("", "answered 400$"),
    ],
    ids=["openai", "sglang and lmdeploy", "fastapi", "v2", "text", "empty"],
)
async def test_each_server_has_its_own_shape_of_error(ask: Ask, body: str, said: str) -> None:
    async with answering(body.encode(), status=400) as url:
        with pytest.raises(InvalidRequest, match=said):
            await ask("hello", url=url)
