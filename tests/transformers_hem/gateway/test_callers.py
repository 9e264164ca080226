"""Names and policies of callers: who may call what, where, and how often."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from predictors.errors import ConfigurationError, TooManyRequests
from tests.transformers_hem.gateway.gateway_under_test import chat, gateway
from tests.transformers_hem.gateway.scripted_side import scripted_side, whole
from transformers_hem.algorithms.base import Batch, Route
from transformers_hem.gateway.callers import Caller, read_callers
from transformers_hem.gateway.keys import Keys, Rates
from transformers_hem.guards.base import Guard

KEY = "sk-of-team-a-0123456789"
DIGEST = hashlib.sha256(KEY.encode()).hexdigest()


def named(path: Path, key: str = KEY) -> Caller:
    return Keys(path, open=False).check({"authorization": f"Bearer {key}"})


@pytest.mark.parametrize(
    "text",
    [
        f"tokens:\n- name: team-a\n  key: {KEY}\n",
        f"# ours\ntokens:\n- {{name: team-a, key: [other, {KEY}]}}\n",
        f"tokens:\n- name: team-a\n  sha256: {DIGEST}\n",
        f'{{"tokens": [{{"name": "team-a", "sha256": ["{DIGEST.upper()}"]}}]}}',
    ],
)
def test_a_caller_has_a_name_and_a_key_or_the_hash_of_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(text)
    assert named(path) == Caller("team-a", tenant="team-a")


def test_each_file_of_a_folder_is_a_caller(tmp_path: Path) -> None:
    data = tmp_path / "..2026"
    data.mkdir()
    (data / "team-a").write_text(f"{KEY}\nsk-next\n")
    (data / "admins").write_text("tokens: [{name: anna, key: sk-anna, admin: true}]")
    (tmp_path / "..data").symlink_to("..2026")
    for name in ("team-a", "admins"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    assert named(tmp_path) == named(tmp_path, "sk-next") == Caller("team-a", tenant="team-a")
    assert named(tmp_path, "sk-anna").admin


def test_plain_keys_have_numbers_for_names_and_share_what_is_cached(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# first\nsk-one\n{KEY}\n")
    assert named(path) == Caller("key-2", tenant="")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"tokens:\n- name: a b\n  key: {KEY}", "tokens.0.name"),
        (f"tokens:\n- key: {KEY}", "tokens.0: name is missing"),
        ("tokens:\n- name: a", "has no key"),
        ("tokens:\n- name: a\n  sha256: 12ab", "tokens.0.sha256.0"),
        (f"tokens:\n- name: a\n  key: {KEY}\n  keys: {KEY}", "not known; known: name, key"),
        (f"tokens:\n- name: a\n  key: {KEY}\n  {KEY}: x", "not known; known: name, key"),
        (f"tokens:\n- name: a\n  key: {KEY}\n  side: far", "tokens.0.side"),
        (f"tokens:\n- name: a\n  key: {KEY}\n  requests_per_minute: 0", "requests_per_minute"),
        (f"tokens:\n- {{name: a, key: {KEY}}}\n- {{name: a, key: other}}", "two callers 'a'"),
        (f"tokens:\n- {{name: a, key: {KEY}}}\n- {{name: b, key: {KEY}}}", "b has a key of a"),
        (f"tokens:\n- name: anonymous\n  key: {KEY}", "anonymous"),
        (f"tokens:\n- name: a\n  key: [{KEY}", "not YAML"),
        (f"tokens: {KEY}", "tokens: "),
    ],
)
def test_what_is_wrong_is_named_without_a_key(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=str(path)) as refused:
        read_callers(path)
    assert told in str(refused.value)
    assert KEY not in str(refused.value)


def test_never_more_than_its_number_in_any_minute() -> None:
    now = 0.0
    rates = Rates(lambda: now)
    caller = Caller("a", requests_per_minute=3)
    taken = []
    for tenth in range(0, 3000):
        now = tenth / 10
        try:
            rates.take(caller)
            taken.append(now)
        except TooManyRequests as error:
            assert 0 < error.retry_after <= 60
    assert len(taken) == 15
    assert all(later - earlier >= 60 for earlier, later in zip(taken, taken[3:], strict=False))


def test_a_caller_who_waits_as_told_is_taken() -> None:
    now = 0.0
    rates = Rates(lambda: now)
    caller = Caller("a", requests_per_minute=1)
    rates.take(caller)
    now = 12.5
    with pytest.raises(TooManyRequests) as refused:
        rates.take(caller)
    now += refused.value.retry_after
    rates.take(caller)
    rates.take(Caller("b", requests_per_minute=1))


TOKENS = """
tokens:
- {name: free, key: sk-free}
- {name: slow, key: sk-slow, requests_per_minute: 2}
- {name: near, key: sk-near, side: edge}
- {name: far, key: sk-far, side: cloud}
- {name: site, key: sk-site, models: [qa]}
- {name: unguarded, key: sk-unguarded, guards: []}
"""


class ToTheEdge(Guard):
    def __init__(self) -> None:
        pass

    def route(self, batch: Batch) -> Route | None:
        return "edge"


class Private(ToTheEdge):
    privacy = True


async def asked(client: Any, key: str, model: str = "qa") -> Any:
    headers = {"authorization": f"Bearer {key}"}
    body = chat(model=model, stream=False)
    return await client.post("/v1/chat/completions", json=body, headers=headers)


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(TOKENS)
    return path


async def test_who_asks_too_often_is_told_when_to_come_back(tokens: Path) -> None:
    async with (
        scripted_side(lambda _: whole("large", "hi")) as cloud,
        gateway(cloud=cloud.url, keys=tokens) as client,
    ):
        answers = [await asked(client, "sk-slow") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 0 < int(answers[2].headers["retry-after"]) <= 60
        error = answers[2].json()["error"]
        assert error["type"] == "rate_limit_error" and error["code"] == "rate_limit_exceeded"
        assert "slow" in error["message"] and "sk-" not in answers[2].text
        assert (await asked(client, "sk-free")).status_code == 200


@pytest.mark.parametrize(
    ("key", "statuses", "listed"),
    [
        ("sk-free", {"qa": 200, "qa-edge": 200, "qa-cloud": 200}, ["qa", "qa-edge", "qa-cloud"]),
        ("sk-near", {"qa": 200, "qa-edge": 200, "qa-cloud": 403}, ["qa", "qa-edge"]),
        ("sk-far", {"qa": 200, "qa-edge": 403, "qa-cloud": 200}, ["qa", "qa-cloud"]),
        ("sk-site", {"qa": 200, "qa-edge": 403, "qa-cloud": 403}, ["qa"]),
    ],
)
async def test_a_policy_says_which_models_and_which_side(
    tokens: Path, key: str, statuses: dict[str, int], listed: list[str]
) -> None:
    async with (
        scripted_side(lambda _: whole("small", "hi")) as edge,
        scripted_side(lambda _: whole("large", "hi")) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, keys=tokens) as client,
    ):
        answers = {model: await asked(client, key, model) for model in statuses}
        assert {model: answer.status_code for model, answer in answers.items()} == statuses
        for answer in answers.values():
            if answer.status_code == 403:
                assert answer.json()["error"]["type"] == "permission_error"
        served = answers["qa"].json()["hem"]["served_by"]
        assert served == ("small" if key == "sk-near" else "large")
        models = await client.get("/v1/models", headers={"authorization": f"Bearer {key}"})
        assert [each["id"] for each in models.json()["data"]] == listed


async def test_nothing_of_a_caller_of_the_edge_leaves_though_the_edge_fails(tokens: Path) -> None:
    async with (
        scripted_side(lambda _: whole("large", "hi")) as cloud,
        gateway(cloud=cloud.url, keys=tokens) as client,
    ):
        assert (await asked(client, "sk-near")).status_code == 503
        assert not cloud.asked


@pytest.mark.parametrize(("guard", "route"), [(ToTheEdge(), "cloud"), (Private(), "edge")])
async def test_guards_that_do_not_hold_for_a_caller_but_privacy_does(
    tokens: Path, guard: Guard, route: str
) -> None:
    async with (
        scripted_side(lambda _: whole("m", "hi")) as edge,
        scripted_side(lambda _: whole("m", "hi")) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, keys=tokens, guards={"g": guard}) as client,
    ):
        assert (await asked(client, "sk-free")).headers["x-hem-route"] == "edge"
        assert (await asked(client, "sk-unguarded")).headers["x-hem-route"] == route
