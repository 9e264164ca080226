"""self-design in V2: the request that HEM makes for the cloud, and what stands in for that."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from kserve import InferInput, InferRequest

from inferencegraph.build.graph import joint_at_edge, self_design
from predictors.errors import EngineError, InvalidRequest
from tests.conftest import ServerProcess, StartServer
from tests.inferencegraph.router.graph_under_test import routing
from tests.predictors.engines.answering import answering
from tests.transformers_hem.guards.budget.budgets import budget
from tests.transformers_hem.scripted_predictor import ScriptedPredictor
from tests.transformers_hem.v2 import request
from transformers_hem.guards.base import Guard
from transformers_hem.guards.privacy.base import PrivacyParameters
from transformers_hem.guards.privacy.guard import PrivacyGuard
from transformers_hem.serving.predictor_client import PredictorClient
from transformers_hem.serving.self_design import STANDS_IN, SelfDesign
from transformers_hem.serving.settings import HEMSettings, build_decider
from transformers_hem.strategies.base import Strategy, Turn

CARD = "4111 1111 1111 1111"
PROMPT = "Q: {query} D: {draft}"
PRIVACY = {"PrivacyGuard": PrivacyGuard(PrivacyParameters())}
Body = dict[str, Any]


class Designed:
    """HEM in this process in front of a scripted predictor."""

    def __init__(self, predictor: ScriptedPredictor) -> None:
        self.predictor = predictor
        self._clients: list[PredictorClient] = []

    def model(
        self,
        strategy: str = "refine",
        algorithm: str | None = None,
        own: Strategy | None = None,
        **guards: Guard,
    ) -> SelfDesign:
        chosen: Body = {"strategy": strategy, "algorithm": algorithm}
        if strategy == "refine":
            chosen["strategy_parameters"] = json.dumps({"prompt": PROMPT})
        decider = build_decider(HEMSettings(**chosen, MINING_MODE="self-design"))
        decider.guards = guards
        decider.strategy = own or decider.strategy
        client = PredictorClient(f"http://{self.predictor.host}", "m", 5.0)
        self._clients.append(client)
        return SelfDesign("m", decider, client)

    def asked(self) -> list[Body]:
        """What the predictor was asked."""
        return [body for _, body in self.predictor.requests]

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


@pytest.fixture
async def hem() -> AsyncIterator[Designed]:
    with ScriptedPredictor() as predictor:
        designed = Designed(predictor)
        yield designed
        await designed.close()


async def infer(model: SelfDesign, body: Body) -> Body:
    inputs = [
        InferInput(t["name"], t["shape"], t["datatype"], t["data"], t.get("parameters"))
        for t in body["inputs"]
    ]
    sent = InferRequest("m", inputs, request_id=body.get("id"), parameters=body.get("parameters"))
    answer: Body = orjson.loads(await model.predict(sent))  # type: ignore[arg-type]
    return answer


def texts(body: Body) -> list[str]:
    """Of a request, or of a response."""
    (tensor,) = (
        each
        for each in body.get("inputs") or body["outputs"]
        if each["name"] in ("text_input", "text_output")
    )
    data: list[str] = tensor["data"]
    return data


def reasons(body: Body) -> tuple[str, str]:
    return body["parameters"]["hem_route"], body["parameters"]["hem_reason"]


async def test_hem_answers_the_request_for_the_cloud_with_each_rows_draft(hem: Designed) -> None:
    made = await infer(hem.model(), request("logprob -1", "logprob -2", max_tokens=9, hem_a="b"))
    assert texts(made) == [
        "Q: logprob -1 D: answer to logprob -1",
        "Q: logprob -2 D: answer to logprob -2",
    ]
    parameters = made["parameters"]
    assert reasons(made) == ("cloud", "strategy")
    assert (parameters["hem_algorithm"], parameters["hem_strategy"]) == ("refine", "refine")
    assert (parameters["max_tokens"], parameters["hem_a"], made["id"]) == (9, "b", "r-1")
    assert "outputs" not in made


async def test_sent_again_it_is_the_draft_and_nobody_computes_it_twice(hem: Designed) -> None:
    model = hem.model()
    made = await infer(model, request("logprob -1", hem_note="x"))
    degraded = await infer(model, made)
    assert texts(degraded) == ["answer to logprob -1"]
    assert len(hem.asked()) == 1
    parameters = degraded["parameters"]
    assert (parameters["hem_route"], parameters["served_by"]) == ("cloud", "scripted")
    assert parameters["hem_note"] == "x"
    assert STANDS_IN not in parameters


@pytest.mark.parametrize(("logprob", "route"), [("-0.1", "edge"), ("-2", "cloud")])
async def test_with_an_algorithm_beside_it_only_hard_drafts_are_refined(
    hem: Designed, logprob: str, route: str
) -> None:
    answer = await infer(hem.model(algorithm="ConfidenceRouter"), request(f"logprob {logprob}"))
    assert reasons(answer) == (route, "algorithm")
    assert answer["parameters"]["hem_algorithm"] == "ConfidenceRouter"
    assert ("inputs" in answer) == (route == "cloud")


async def test_who_prefers_the_cloud_asks_it_alone_and_the_edge_stands_in(hem: Designed) -> None:
    model = hem.model()
    made = await infer(model, request("logprob -1", hem_prefer="cloud"))
    assert (texts(made), reasons(made), hem.asked()) == (["logprob -1"], ("cloud", "prefer"), [])
    assert texts(await infer(model, made)) == ["answer to logprob -1"]
    assert STANDS_IN not in hem.asked()[0]["parameters"]


async def test_who_prefers_the_edge_has_its_answer(hem: Designed) -> None:
    answer = await infer(hem.model(), request("logprob -1", hem_prefer="edge"))
    assert (texts(answer), reasons(answer)) == (["answer to logprob -1"], ("edge", "prefer"))


@pytest.mark.parametrize("prefer", [{}, {"hem_prefer": "cloud"}])
async def test_a_private_query_stays(hem: Designed, prefer: Body) -> None:
    answer = await infer(hem.model(**PRIVACY), request(f"{CARD} logprob -1", **prefer))
    assert reasons(answer) == ("edge", "PrivacyGuard")
    assert texts(answer) == [f"answer to {CARD} logprob -1"]


class Leaks(Strategy):
    """Its request is private, though neither query nor answer is."""

    stage = "answer"

    def asks(self, turn: Turn) -> str | None:
        return f"{turn.query}, card {CARD}" if "1" in turn.query else None


async def test_what_a_strategy_makes_private_stays_too(hem: Designed) -> None:
    model = hem.model(own=Leaks(None), **PRIVACY)  # type: ignore[arg-type]
    answer = await infer(model, request("logprob -1"))
    assert (reasons(answer), texts(answer)) == (("edge", "PrivacyGuard"), ["answer to logprob -1"])
    assert CARD not in json.dumps(answer)


async def test_one_that_asks_nothing_leaves_the_edges_answer(hem: Designed) -> None:
    model = hem.model(own=Leaks(None))  # type: ignore[arg-type]
    answer = await infer(model, request("logprob -2"))
    assert (reasons(answer), texts(answer)) == (("edge", "strategy"), ["answer to logprob -2"])
    mixed = await infer(model, request("logprob -2", "logprob -1"))
    assert texts(mixed) == ["logprob -2", f"logprob -1, card {CARD}"]


async def test_the_budget_counts_what_is_really_asked(hem: Designed, tmp_path: Path) -> None:
    guard = budget(tmp_path / "b", tokens=600)
    model = hem.model(BudgetGuard=guard)
    long = await infer(model, request("x" * 1000 + " logprob -1", max_tokens=20))
    assert (reasons(long), guard.left()) == (("edge", "BudgetGuard"), {"tokens": 600})
    assert reasons(await infer(model, request("logprob -1", max_tokens=20))) == (
        "cloud",
        "strategy",
    )
    assert guard.left()["tokens"] < 600


@pytest.mark.parametrize(
    "told", [7, "{", "{}", '{"texts": "a"}', '{"texts": ["a"], "response": {}}']
)
async def test_a_stand_in_that_hem_did_not_write_is_a_bad_request(
    hem: Designed, told: object
) -> None:
    with pytest.raises(InvalidRequest, match="edge_answer"):
        await infer(hem.model(), request("a", **{STANDS_IN: told}))


class Broken(Leaks):
    def asks(self, turn: Turn) -> str | None:
        return 7  # type: ignore[return-value]


async def test_a_strategy_that_breaks_its_contract_is_named(hem: Designed) -> None:
    with pytest.raises(EngineError, match="must ask the cloud a text"):
        await infer(hem.model(own=Broken(None)), request("logprob -1"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "route", "reason"),
    [
        (request("logprob -1"), "cloud", "strategy"),
        (request("logprob -1", hem_route="cloud", hem_prefer="edge"), "edge", "prefer"),
        (request(f"{CARD} logprob -1", hem_prefer="cloud"), "edge", "PrivacyGuard"),
    ],
)
async def test_a_joint_edge_is_told_the_route(
    hem: Designed, body: Body, route: str, reason: str
) -> None:
    answer = await infer(hem.model("speculative", **PRIVACY), body)
    (asked,) = hem.asked()
    assert asked["parameters"]["hem_route"] == route
    assert reasons(answer) == (route, reason)
    assert answer["parameters"]["hem_strategy"] == "speculative"
    assert texts(answer) == [f"answer to {texts(body)[0]}"]


@pytest.mark.parametrize(("algorithm", "route"), [("EdgeOnly", "edge"), ("CloudOnly", "cloud")])
async def test_an_algorithm_beside_it_says_which_queries_a_joint_edge_drafts_for(
    hem: Designed, algorithm: str, route: str
) -> None:
    answer = await infer(hem.model("speculative", algorithm), request("logprob -1"))
    assert [body["parameters"]["hem_route"] for body in hem.asked()] == [route]
    assert reasons(answer) == (route, "algorithm")
    assert answer["parameters"]["hem_algorithm"] == algorithm


@pytest.fixture(scope="module")
def edge() -> Any:
    with ScriptedPredictor() as server:
        yield server


@pytest.fixture(scope="module")
def served(start_server: StartServer, edge: ScriptedPredictor) -> ServerProcess:
    environment = {
        "MINING_MODE": "self-design",
        "HEM_STRATEGY": "refine",
        "HEM_STRATEGY_PARAMETERS": json.dumps({"prompt": PROMPT}),
    }
    at = ("--model_name", "m", "--predictor_host", edge.host)
    return start_server("transformers_hem", *at, env=environment, ready="/v2/models/m/ready")


def through(served: ServerProcess, uplink: str) -> Any:
    """The graph, as the router of this project runs it."""
    urls = {"qa-edge": f"{served.url}/v2/models/m/infer", "qa-uplink": uplink}
    graph = self_design("qa")
    for node in graph["spec"]["nodes"].values():
        for step in node["steps"]:
            if "serviceName" in step:
                step["serviceUrl"] = urls[step.pop("serviceName")]
    return routing(graph)


async def test_through_the_graph_the_cloud_refines_the_draft(served: ServerProcess) -> None:
    with ScriptedPredictor() as cloud:
        async with through(served, f"http://{cloud.host}/v2/models/qa-uplink/infer") as client:
            reply = await client.post("/", json=request("logprob -1"))
        (asked,) = [body for _, body in cloud.requests]
    assert texts(asked) == ["Q: logprob -1 D: answer to logprob -1"]
    assert texts(reply.json()) == [f"answer to {texts(asked)[0]}"]


async def test_where_the_uplink_fails_the_graph_answers_the_draft(
    served: ServerProcess, edge: ScriptedPredictor
) -> None:
    before = len(edge.requests)
    async with (
        answering(b'{"error": "no cloud"}', status=503) as uplink,
        through(served, uplink) as client,
    ):
        reply = await client.post("/", json=request("logprob -1", hem_note="x"))
    assert (reply.status_code, len(edge.requests) - before) == (200, 1)
    assert texts(reply.json()) == ["answer to logprob -1"]
    parameters = reply.json()["parameters"]
    assert (parameters["hem_route"], parameters["served_by"]) == ("cloud", "scripted")
    assert (parameters["hem_strategy"], parameters["hem_note"]) == ("refine", "x")


async def test_where_the_edge_fails_its_error_is_the_answer(served: ServerProcess) -> None:
    async with through(served, "http://127.0.0.1:9") as client:
        reply = await client.post("/", json=request("status 429"))
    assert (reply.status_code, reply.json()["error"]) == (429, "scripted 429")


def test_a_joint_edge_is_the_only_step() -> None:
    (node,) = joint_at_edge("qa")["spec"]["nodes"].values()
    assert node["steps"] == [{"name": "edge", "serviceName": "qa-edge", "dependency": "Hard"}]
