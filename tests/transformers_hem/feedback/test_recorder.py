"""What the gateway and V2 tell the store of each decision."""

from pathlib import Path

import numpy as np
import orjson
import pytest

from tests.conftest import StartServer
from tests.transformers_hem.feedback.collecting import collecting
from tests.transformers_hem.gateway.gateway_under_test import chat, gateway
from tests.transformers_hem.gateway.scripted_side import scripted_side, streamed
from transformers_hem.feedback.features import packed, unpacked
from transformers_hem.feedback.place import read_place
from transformers_hem.feedback.reading import Example, examples, reading
from transformers_hem.routers.fingerprints import fingerprint
from transformers_hem.routers.linear.features import extract

PATH = "/v1/chat/completions"


def read(path: Path) -> list[Example]:
    with reading(read_place(str(path))) as connection:
        return list(examples(connection))


@pytest.mark.parametrize("keeps", ["off", "on"])
async def test_a_chat_is_kept_and_feedback_finds_it_by_its_id(tmp_path: Path, keeps: str) -> None:
    path = tmp_path / "feedback.db"
    async with (
        scripted_side(lambda _: streamed("small", "It is ", "2.")) as edge,
        collecting(str(path), feedback_text=keeps) as (feedback, service),
        gateway(edge=edge.url, algorithm="EdgeOnly", recorder=service.recorder) as client,
    ):
        headers = {"authorization": "Bearer k"}
        reply = await client.post(PATH, json=chat("What is 1 + 1?"), headers=headers)
        body = {"request_id": reply.headers["x-request-id"], "thumbs": "up"}
        told = await feedback.post("/feedback", json=body, headers=headers)
        assert told.json()["feedback"][0]["known"]
    (example,) = read(path)
    found = example.decided
    assert (found.way, found.route, found.served, found.model) == ("chat", "edge", "edge", "small")
    assert (found.status, found.reason, found.algorithm) == (200, "algorithm", "EdgeOnly")
    assert found.client == example.feedback.client != ""
    assert found.query_hash == fingerprint("what is  1 + 1?").hex()
    assert found.query == ("What is 1 + 1?" if keeps == "on" else None)
    assert found.features == (packed("What is 1 + 1?") if keeps == "off" else None)
    assert example.scores == (1.0, None)


async def test_the_side_that_stood_in_is_the_one_that_was_served(tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    async with (
        scripted_side(lambda _: streamed("small", "2.")) as edge,
        collecting(str(path)) as (feedback, service),
        gateway(edge=edge.url, algorithm="CloudOnly", recorder=service.recorder) as client,
    ):
        reply = await client.post(PATH, json=chat("What is 1 + 1?"))
        body = {"request_id": reply.headers["x-request-id"], "correct": False}
        await feedback.post("/feedback", json=body)
    (example,) = read(path)
    assert (example.decided.route, example.decided.served) == ("cloud", "edge")
    assert example.decided.degraded == "unreachable" and example.scores == (0.0, None)


async def test_of_what_is_private_nothing_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    with_guard = {"algorithm": "EdgeOnly", "guards": '["PrivacyGuard"]'}
    from transformers_hem.serving.settings import HEMSettings, build_decider

    guards = build_decider(HEMSettings(**with_guard)).guards
    async with (
        scripted_side(lambda _: streamed("small", "2.")) as edge,
        collecting(str(path), feedback_text="on") as (feedback, service),
        gateway(
            edge=edge.url, algorithm="EdgeOnly", guards=guards, recorder=service.recorder
        ) as client,
    ):
        reply = await client.post(PATH, json=chat("Write to ann.miller@example.com"))
        assert reply.headers["x-hem-reason"] == "PrivacyGuard"
        body = {"request_id": reply.headers["x-request-id"], "thumbs": "up"}
        told = await feedback.post("/feedback", json=body)
        assert not told.json()["feedback"][0]["known"]
    assert b"miller" not in path.read_bytes()


def test_features_are_those_of_a_router_with_as_many_or_fewer_buckets() -> None:
    text = "How long is 385 + 47, in USB cables?\nA. one\nB. two"
    for buckets in (2**18, 2**12):
        found, expected = unpacked(packed(text), buckets), extract(text, buckets)
        assert np.array_equal(found.buckets, expected.buckets) and found.open == expected.open
        assert np.array_equal(found.lengths, expected.lengths)
    with pytest.raises(ValueError, match="can't read features"):
        unpacked(packed(text), 1000)


@pytest.fixture(scope="module")
def hem(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    path = tmp_path_factory.mktemp("store") / "feedback.db"
    settings = {"HEM_FEEDBACK_STORE": str(path), "HEM_HOST": "127.0.0.1"}
    ready = "/v2/models/qa-hem/ready"
    server = start_server("transformers_hem", "--model_name", "qa-hem", env=settings, ready=ready)
    return server.url, path


async def test_a_v2_request_without_an_id_gets_one_that_feedback_names(
    hem: tuple[str, Path],
) -> None:
    import httpx

    url, path = hem
    body = {
        "inputs": [
            {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["What is 1 + 1?"]}
        ]
    }
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        mined = (await client.post("/v2/models/qa-hem/infer", json=body)).json()
        named = {**body, "id": "mine-1"}
        assert (await client.post("/v2/models/qa-hem/infer", json=named)).json()["id"] == "mine-1"
        for request_id in (mined["id"], "mine-1"):
            said = {"request_id": request_id, "preferred": "cloud"}
            told = await client.post("/feedback", json=said)
            assert told.json()["feedback"][0] == {
                "request_id": request_id,
                "state": "new",
                "known": True,
            }
        evil = {"origin": "https://evil.example"}
        refused = await client.post("/feedback", json=said, headers=evil)
        assert refused.status_code == 403
        metrics = (await client.get("/metrics")).text
        assert "hem_feedback_up 1.0" in metrics
        assert 'hem_feedback_total{source="user",state="new"} 2.0' in metrics
        rows = [
            orjson.loads(e) for e in (await client.get("/feedback/export")).content.splitlines()
        ]
    assert {row["request_id"] for row in rows} == {mined["id"], "mine-1"}
    assert all((row["edge_score"], row["cloud_score"]) == (0, 1) for row in rows)
    first = read(path)[0].decided
    assert first.way == "v2" and first.score is not None and first.router == "embedded:linear"
    assert len(first.version) == 12 and first.served is None
