"""POST /feedback and its relatives: what is taken, what is refused, and by what words."""

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.transformers_hem.feedback.collecting import collecting
from tests.transformers_hem.feedback.records import decided, said
from transformers_hem.feedback.faults import Unusable
from transformers_hem.feedback.place import Place
from transformers_hem.feedback.pushed import pushed_body
from transformers_hem.feedback.routes import Lines
from transformers_hem.serving.clients import client_of

TOKENS = """
tokens:
  - {name: team, key: team-key}
  - {name: other, key: other-key}
  - {name: boss, key: boss-key, admin: true}
"""
TEAM = {"authorization": "Bearer team-key"}
OTHER = {"authorization": "Bearer other-key"}
BOSS = {"authorization": "Bearer boss-key"}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(TOKENS)
    return path


def store_of(place: Place) -> str:
    return place.url.replace("postgresql+psycopg", "postgresql")


async def pushes(client: httpx.AsyncClient, *records: Any, **options: Any) -> httpx.Response:
    decisions = [each for each in records if hasattr(each, "route")]
    feedback = [each for each in records if not hasattr(each, "route")]
    return await client.post(
        "/feedback/records", content=pushed_body(decisions, feedback), **options
    )


def lines(reply: httpx.Response) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in reply.content.splitlines()]


async def test_one_or_many_are_kept_and_each_is_told_what_became_of_it(place: Place) -> None:
    async with collecting(store_of(place), feedback_text="on") as (client, _):
        await pushes(client, decided("r1"), decided("r2", route="cloud", served="cloud"))
        one = {"request_id": "r1", "thumbs": "up", "key": "k"}
        first = await client.post("/feedback", json=one)
        assert (first.status_code, first.json()) == (
            200,
            {"kept": 1, "feedback": [{"request_id": "r1", "state": "new", "known": True}]},
        )
        many = [one, {"request_id": "r2", "rating": 4}, {"request_id": "r3", "preferred": "tie"}]
        for body in (many, {"feedback": many}):
            reply = await client.post("/feedback", json=body)
            assert reply.status_code == 200
        told = [(each["state"], each["known"]) for each in reply.json()["feedback"]]
        assert told == [("duplicate", True), ("new", True), ("new", False)]
        rows = lines(await client.get("/feedback/export"))
        assert {
            (row["request_id"], row.get("edge_score"), row.get("cloud_score")) for row in rows
        } == {
            ("r1", 1.0, None),
            ("r2", None, 0.75),
        }
        assert all(row["query"] == "What is 1 + 1?" and row["weight"] == 1 for row in rows)
        told = (await client.get("/feedback")).json()
        assert (told["decisions"]["rows"], told["feedback"]["rows"], told["unknown"]) == (2, 5, 2)


async def test_another_word_of_the_same_client_replaces_the_first(place: Place) -> None:
    async with collecting(store_of(place)) as (client, _):
        await client.post("/feedback", json={"request_id": "r1", "correct": True})
        reply = await client.post("/feedback", json={"request_id": "r1", "correct": False})
        assert reply.json()["feedback"][0]["state"] == "replaces"


async def test_of_what_one_request_says_of_an_answer_the_last_counts(place: Place) -> None:
    said_so = ["up", "down", "up", "down", "up", "down"]
    async with collecting(store_of(place)) as (client, _):
        await pushes(client, decided("r1"))
        body = [{"request_id": "r1", "thumbs": thumbs} for thumbs in said_so]
        told = (await client.post("/feedback", json=body)).json()["feedback"]
        assert [each["state"] for each in told] == ["new", *["replaces"] * 5]
        (row,) = lines(await client.get("/feedback/export"))
        assert row["edge_score"] == 0.0


async def test_a_time_without_a_zone_is_utc(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        async with collecting(store_of(place)) as (client, _):
            now = datetime.now(UTC).replace(tzinfo=None).isoformat()
            body = {"request_id": "r1", "thumbs": "up", "at": now}
            (told,) = (await client.post("/feedback", json=body)).json()["feedback"]
            assert "clock_ahead" not in told
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("query", ["before=nan", "before=inf", "before=", "user=", "client=%20"])
async def test_forgetting_that_names_nothing_forgets_nothing(place: Place, query: str) -> None:
    async with collecting(store_of(place)) as (client, _):
        await client.post("/feedback", json={"request_id": "r1", "thumbs": "up"})
        reply = await client.delete(f"/feedback?{query}")
        assert reply.status_code == 400 and query.partition("=")[0] in reply.json()["error"]
        assert (await client.get("/feedback")).json()["feedback"]["rows"] == 1


async def test_the_key_of_a_whole_request_makes_its_repetition_harmless(place: Place) -> None:
    async with collecting(store_of(place)) as (client, _):
        body = [{"request_id": "r1", "thumbs": "up"}, {"request_id": "r2", "thumbs": "down"}]
        for expected in ("new", "duplicate"):
            reply = await client.post("/feedback", json=body, headers={"idempotency-key": "k1"})
            assert [each["state"] for each in reply.json()["feedback"]] == [expected] * 2


async def test_a_key_that_said_something_else_is_409_and_nothing_is_kept(place: Place) -> None:
    async with collecting(store_of(place)) as (client, _):
        await client.post("/feedback", json={"request_id": "r1", "thumbs": "up", "key": "k"})
        other = [
            {"request_id": "r2", "thumbs": "up"},
            {"request_id": "r1", "thumbs": "down", "key": "k"},
        ]
        reply = await client.post("/feedback", json=other)
        assert reply.status_code == 409 and "a key of its own" in reply.json()["error"]
        assert (await client.get("/feedback")).json()["feedback"]["rows"] == 1


BAD: list[tuple[Any, str]] = [
    ([], "send {"),
    ("up", "send {"),
    ({"thumbs": "up"}, "feedback[0].request_id: is required"),
    ({"request_id": "r"}, "says nothing: give one of thumbs, rating"),
    ({"request_id": "", "thumbs": "up"}, "feedback[0].request_id: must not be empty"),
    ({"request_id": "a\nb", "thumbs": "up"}, "feedback[0].request_id: must have no control"),
    ({"request_id": "r" * 129, "thumbs": "up"}, "must have at most 128 characters, not "),
    ({"request_id": None, "thumbs": "up"}, "feedback[0].request_id: must be a text, not null"),
    (
        [{"request_id": "r", "thumbs": "up"}, {"request_id": "r", "thumbs": "UP"}],
        "[1].thumbs: must",
    ),
    ([3], "feedback[0]: must be an object"),
    ({"request_id": "r", "thumb": "up"}, "'thumb' is not known; known"),
    ({"request_id": "r", "rating": 7}, "rating 7 is not on the scale [1, 5]"),
    ({"request_id": "r", "rating": 1, "scale": [1, 1]}, "scale must be [low, high]"),
    ({"request_id": "r", "rating": 0, "scale": [-1e308, 1e308]}, "scale must be [low, high]"),
    (
        {"request_id": "r", "rating": 1, "scale": [1]},
        "scale: must be two numbers, [low, high], not",
    ),
    ({"request_id": "r", "scale": [0, 1], "thumbs": "up"}, "a scale, and no rating"),
    (
        {"request_id": "r", "correct": "yes"},
        'feedback[0].correct: must be true or false, not "yes"',
    ),
    ({"request_id": "r", "thumbs": "up", "at": {}}, "feedback[0].at: must be a time, as 2026"),
    ({"request_id": "r", "correct": True, "answer": "2"}, "contradicts itself"),
    ({"request_id": "r", "thumbs": "up", "at": "yesterday"}, "feedback[0].at"),
    ({"request_id": "r", "thumbs": "up", "at": -5}, "feedback[0].at"),
    ({"feedback": [], "x": 1}, "'x' is not known"),
]


async def test_bad_bodies_are_400_and_named(tmp_path: Path) -> None:
    async with collecting(str(tmp_path / "feedback.db")) as (client, _):
        for body, words in BAD:
            reply = await client.post("/feedback", json=body)
            assert reply.status_code == 400 and words in reply.json()["error"], (body, reply.text)
        for content in (b"{", b'{"request_id": "r", "rating": NaN}', b"\xff"):
            assert (await client.post("/feedback", content=content)).status_code == 400
        many = [{"request_id": "r", "thumbs": "up"}] * 1001
        assert (await client.post("/feedback", json=many)).status_code == 413
        assert (await client.get("/feedback")).json()["feedback"]["rows"] == 0


async def test_both_clocks_are_kept_and_one_that_is_ahead_is_told(place: Place) -> None:
    async with collecting(store_of(place)) as (client, _):
        await pushes(client, decided("r1"))
        ahead = {"request_id": "r1", "thumbs": "up", "at": time.time() + 3600}
        told = (await client.post("/feedback", json=ahead)).json()["feedback"][0]
        assert 3590 < told["clock_ahead"] <= 3600
        behind = {"request_id": "r1", "thumbs": "up", "at": "2026-11-01T12:00:00Z"}
        assert "clock_ahead" not in (await client.post("/feedback", json=behind)).text
        (row,) = lines(await client.get("/feedback/export"))
        assert row["at"] == pytest.approx(time.time(), abs=30)  # the server's


async def test_an_export_of_what_can_not_be_asked_is_400_and_named(tmp_path: Path) -> None:
    async with collecting(str(tmp_path / "feedback.db")) as (client, _):
        for query, words in (
            ({"both": "2"}, "both must be 1 or 0, not '2'"),
            ({"since": "x"}, "since must be seconds since 1970"),
            ({"x": "1"}, "'x' is not known; known: both, since, until"),
        ):
            reply = await client.get("/feedback/export", params=query)
            assert reply.status_code == 400 and words in reply.json()["error"]
        await client.post("/feedback", json={"request_id": "r1", "thumbs": "up"})
        assert (await client.get("/feedback/export", params={"both": "0"})).status_code == 200


async def test_who_may_not_call_keeps_reads_and_forgets_nothing(tmp_path: Path, keys: Path) -> None:
    one = {"request_id": "r1", "thumbs": "up"}
    async with collecting(str(tmp_path / "feedback.db"), keys=keys) as (client, _):
        assert (await client.post("/feedback", json=one)).status_code == 401
        assert (await client.post("/feedback", json=one, headers=TEAM)).status_code == 200
        for headers, status in (({}, 401), (TEAM, 403), (BOSS, 200)):
            asked = {"headers": headers}
            assert (await client.get("/feedback", **asked)).status_code == status
            assert (await client.get("/feedback/export", **asked)).status_code == status
            assert (await pushes(client, said("r2"), **asked)).status_code == status
            path = "/feedback?request_id=nobody"
            assert (await client.delete(path, **asked)).status_code == status


async def test_a_clients_key_is_not_anothers(tmp_path: Path, keys: Path) -> None:
    one = {"request_id": "r1", "thumbs": "up", "key": "k"}
    async with collecting(str(tmp_path / "feedback.db"), keys=keys) as (client, _):
        for headers in (TEAM, OTHER):
            reply = await client.post("/feedback", json=one, headers=headers)
            assert reply.json()["feedback"][0]["state"] == "new"


async def test_who_says_it_is_told_by_the_token_and_by_nothing_that_is_sent(
    tmp_path: Path, keys: Path
) -> None:
    """So what one token says counts as one client's, however it is sent."""
    async with collecting(str(tmp_path / "feedback.db"), keys=keys) as (client, _):
        await pushes(client, decided("r1"), headers=BOSS)
        for headers in (TEAM, OTHER):
            one = {"request_id": "r1", "thumbs": "up"}
            named = {**headers, "x-hem-tenant": "boss", "x-client": "boss"}
            assert (await client.post("/feedback", json=one, headers=named)).status_code == 200
            claimed = await client.post("/feedback", json={**one, "client": "b"}, headers=headers)
            assert claimed.status_code == 400 and "'client' is not known" in claimed.text
        rows = lines(await client.get("/feedback/export", headers=BOSS))
        assert {row["client"] for row in rows} == {client_of({}, name=n) for n in ("team", "other")}


async def test_an_admin_sends_what_others_say_in_their_names(tmp_path: Path, keys: Path) -> None:
    """So a cap on each client is one on each of them. Exports have hashes."""
    other = client_of({}, name="other")
    async with collecting(str(tmp_path / "feedback.db"), keys=keys) as (client, _):
        await pushes(client, decided("r1"), headers=BOSS)
        rows = [
            {"request_id": "r1", "thumbs": "up", "client": "ada", "key": "k"},
            {"request_id": "r1", "thumbs": "down", "client_hash": other, "key": "k"},
            {"request_id": "r1", "thumbs": "up"},
        ]
        for states in (["new"] * 3, ["duplicate", "duplicate", "new"]):
            told = (await client.post("/feedback", json=rows, headers=BOSS)).json()["feedback"]
            assert [each["state"] for each in told] == states
        found = lines(await client.get("/feedback/export", headers=BOSS))
        whose = {row["client"]: row["edge_score"] for row in found}
        assert whose == {client_of({}, name="ada"): 1, other: 0, client_of({}, name="boss"): 1}
        of_hex = {"request_id": "r1", "thumbs": "up", "client": other}  # a name as any other
        await client.post("/feedback", json=of_hex, headers=BOSS)
        found = lines(await client.get("/feedback/export", headers=BOSS))
        assert client_of({}, name=other) in {row["client"] for row in found}
        for row, field in zip(rows, ("client", "client_hash"), strict=False):
            refused = await client.post("/feedback", json=row, headers=TEAM)
            assert refused.status_code == 400
            assert f"'{field}' is not known, but from an admin" in refused.json()["error"]
        both = await client.post("/feedback", json={**of_hex, "client_hash": other}, headers=BOSS)
        assert both.status_code == 400 and "give one of them" in both.json()["error"]


async def test_what_a_user_said_and_asked_is_forgotten(place: Place, keys: Path) -> None:
    async with collecting(store_of(place), keys=keys) as (client, _):
        then = time.time() - 100
        team, other = client_of({}, name="team"), client_of({}, name="other")
        await pushes(
            client,
            *(decided(f"t{n}", client=team) for n in range(3)),
            *(decided(f"o{n}", client=other, at=then + n) for n in range(3)),
            *(said(f"t{n}", client=team) for n in range(3)),
            *(said(f"o{n}", client=other, at=then + n) for n in range(3)),
            said("t0", client=other),  # another one about this user's request
            headers=BOSS,
        )
        deleted = await client.delete("/feedback?user=team", headers=BOSS)
        assert deleted.json() == {"deleted": {"feedback": 4, "decisions": 3}}
        deleted = await client.delete("/feedback?request_id=o2", headers=BOSS)
        assert deleted.json() == {"deleted": {"feedback": 1, "decisions": 1}}
        deleted = await client.delete(f"/feedback?before={then + 0.5}", headers=BOSS)
        assert deleted.json() == {"deleted": {"feedback": 1, "decisions": 1}}
        left = lines(await client.get("/feedback/export", headers=BOSS))
        assert [row["request_id"] for row in left] == ["o1"]
        for query in ("", "?what=all", "?before=soon"):
            assert (await client.delete(f"/feedback{query}", headers=BOSS)).status_code == 400


async def test_a_row_tells_whether_the_client_who_asked_says_it(tmp_path: Path, keys: Path) -> None:
    async with collecting(str(tmp_path / "feedback.db"), keys=keys) as (client, _):
        asked = (decided("r1", client=client_of({}, name="team")), decided("r2", client=""))
        await pushes(client, *asked, headers=BOSS)
        body = [{"request_id": each, "thumbs": "up"} for each in ("r1", "r2")]
        for headers in (TEAM, OTHER):
            await client.post("/feedback", json=body, headers=headers)
        rows = lines(await client.get("/feedback/export", headers=BOSS))
        assert {(row["request_id"], row["own"]) for row in rows} == {
            *(("r1", True), ("r1", False)),
            ("r2", None),  # nobody knows who asked
        }


async def test_who_sends_too_much_is_429_and_others_are_not(tmp_path: Path, keys: Path) -> None:
    one = {"request_id": "r1", "thumbs": "up"}
    options: dict[str, Any] = {"keys": keys, "client_header": "x-user", "feedback_per_minute": 3}
    bad = {"request_id": "r1", "thumbs": "sideways"}
    async with collecting(str(tmp_path / "feedback.db"), **options) as (client, _):
        for status in (400, 400, 400, 429):  # who is wrong all the time is not heard any more
            reply = await client.post("/feedback", json=bad, headers=BOSS)
            assert reply.status_code == status, reply.text
        for body, status in ((one, 200), ([one] * 4, 200), (one, 429), (one, 429)):
            named = {**TEAM, "x-user": f"someone {status}"}  # gives the token no more
            reply = await client.post("/feedback", json=body, headers=named)
            assert reply.status_code == status, reply.text
        assert "3 feedbacks a minute" in reply.json()["error"]
        assert 50 < int(reply.headers["retry-after"]) <= 60  # 2 too many, and 1 to send
        assert (await client.post("/feedback", json=one, headers=OTHER)).status_code == 200
        told = await client.get("/feedback", headers=BOSS)
        assert told.json()["feedback"]["rows"] == 6


async def test_texts_are_kept_only_where_they_may_be(place: Place) -> None:
    right = {"request_id": "r1", "answer": "It is 2."}
    for keeps, expected in (("off", False), ("on", True)):
        async with collecting(store_of(place), feedback_text=keeps) as (client, _):
            await pushes(client, decided("r1", at=time.time()))
            assert (await client.post("/feedback", json=right)).status_code == 200
            rows = lines(await client.get("/feedback/export"))
            assert [row["edge_score"] for row in rows] == [0.0]
            assert ("It is 2." in json.dumps(rows)) is expected
            assert ("1 + 1" in json.dumps(rows)) is expected
            await client.delete(f"/feedback?before={time.time() + 1}")


async def test_records_of_another_server_are_checked(place: Place) -> None:
    async with collecting(store_of(place)) as (client, _):
        good = orjson.loads(pushed_body([decided("r1")], [said("r1")]))
        for _ in range(2):
            reply = await client.post("/feedback/records", json=good)
            assert reply.status_code == 200
        assert reply.json() == {"decisions": 0, "feedback": 0}
        for name, field, value in (
            ("decisions", "route", "moon"),
            ("decisions", "algorithm", "x" * 129),
            ("decisions", "model", "a\0b"),
            ("decisions", "features", "no base64!"),
            ("decisions", "unheard", 1),
            ("decisions", "propensity", 0),
            ("decisions", "propensity", "often"),
            ("decisions", "shadow_share", 2),
            ("decisions", "score", -0.1),
            ("decisions", "at", 1e308),
            ("decisions", "at", -1),
            ("decisions", "key", ""),
            ("feedback", "rating", "high"),
            ("feedback", "rating", 7),
            ("feedback", "edge_score", -3),
            ("feedback", "said_at", 1e308),
            ("feedback", "request_id", None),
            ("feedback", "request_id", ""),
        ):
            bad = orjson.loads(orjson.dumps(good))
            bad[name][0][field] = value
            reply = await client.post("/feedback/records", json=bad)
            assert reply.status_code == 400 and field in reply.json()["error"], reply.text
        assert (await client.post("/feedback/records", json=[1])).status_code == 400


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
async def test_a_postgresql_that_is_down_is_503_until_it_is_back(
    place: Place, postgresql: Any
) -> None:
    one = {"request_id": "r1", "thumbs": "up"}
    async with collecting(store_of(place)) as (client, _):
        assert (await client.post("/feedback", json=one)).status_code == 200
        postgresql.stop()
        for _ in range(2):
            reply = await client.post("/feedback", json=one)
            assert reply.status_code == 503 and "the store" in reply.json()["error"]
            assert reply.headers["retry-after"] == "1"
        postgresql.start()
        deadline = time.monotonic() + 20
        while (reply := await client.post("/feedback", json=one)).status_code != 200:
            assert reply.status_code == 503 and time.monotonic() < deadline
        assert (await client.get("/feedback")).json()["feedback"]["rows"] == 2


async def test_an_export_that_breaks_has_no_end(caplog: pytest.LogCaptureFixture) -> None:
    async def rows() -> AsyncIterator[bytes]:
        yield b"{}\n"
        raise Unusable("the store has gone")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    await Lines(rows())(scope, receive, send)
    assert [message.get("more_body") for message in sent] == [None, True]
    assert "an export ends too early: the store has gone" in caplog.text
