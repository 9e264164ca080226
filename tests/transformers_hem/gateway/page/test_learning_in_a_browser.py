"""The page while a router learns from use: what is promised and what live queries show of it,
versions, feedback, and a rollback, as they happen."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import StartServer
from tests.tab import Tab, tab
from tests.transformers_hem.gateway.gateway_under_test import gateway
from tests.transformers_hem.gateway.page.test_in_a_browser import (
    ANSWERED,
    CONTRAST,
    ask,
    live,
    overflow,
    text_of,
)
from tests.transformers_hem.gateway.scripted_side import Body, scripted_side, streamed, whole
from tests.transformers_hem.retraining.queries import Store
from tests.transformers_hem.versions.routers import ADDED, checked, promising, router_with
from transformers_hem.versions.folder import Versions
from transformers_hem.versions.told import RETRAINED, tell

pytestmark = pytest.mark.system

LARGEST = 9.9  # seconds in which a switch is taken up and shown


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Tab]:
    async with tab(tmp_path / "profile") as driven:
        yield driven


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    found = Versions.at(tmp_path / "versions")
    found.promote(router_with(0.9, tmp_path / "one"), ADDED, "the first one", None, how="added")
    return found


@pytest.fixture
def pairs(tmp_path: Path) -> Iterator[Store]:
    """What `hem retrain --check` reads; the server has a store of its own."""
    store = Store(tmp_path / "pairs.db")
    yield store
    store.close()


def says(text: str) -> str:
    return f"document.body.innerText.includes({text!r})"


def answering(body: Body) -> bytes:
    return streamed("small", "It is 2.") if body.get("stream") else whole("small", "It is 2.")


async def it_is_legible(page: Tab) -> None:
    """At every width, light and dark, without anything that leaves the screen."""
    for dark in (False, True):
        for width in (360, 500, 1200, 1280):
            await page.looks(width, dark=dark)
            assert await overflow(page) <= 0, width
        assert await page.run(CONTRAST) == []


async def rates(page: Tab) -> None:
    """Says that the last answer was good, then that it was bad, by keys; and a refusal is told."""
    told = "document.querySelector('.rating [role=status]').textContent"
    pressed = "[...document.querySelectorAll('.rating button')].map((b) => b.ariaPressed).join()"
    for number, shown in ((0, "true,false"), (1, "false,true")):
        await page.run(f"document.querySelectorAll('.rating button')[{number}].focus()")
        await page.press("Enter")
        await page.until(f"{told} == 'Kept. Thank you.' && {pressed} == '{shown}'")
    # A refusal, as of an id that can't be one.
    body = "JSON.stringify({request_id: '', thumbs: 'up'})"
    await page.run(
        "window.real = fetch; window.fetch = (path, options) =>"
        f" real(path, options?.body ? {{...options, body: {body}}} : options)"
    )
    await page.run("document.querySelectorAll('.rating button')[0].click()")
    await page.until(f"{told}.startsWith('Not kept: ') && {told}.includes('request_id')")
    assert await page.run(pressed) == "false,true"
    await page.run("window.fetch = real")
    page.faults[:] = [fault for fault in page.faults if "/feedback" not in fault]


async def test_a_promise_feedback_and_a_rollback_are_seen(
    page: Tab, versions: Versions, pairs: Store, start_server: StartServer, tmp_path: Path
) -> None:
    async with scripted_side(answering) as side:
        server = await asyncio.to_thread(
            start_server,
            *("transformers_hem", "--model_name", "qa-hem"),
            env={
                "HEM_ROUTER": str(versions.folder),
                "HEM_FEEDBACK_STORE": str(tmp_path / "feedback.db"),
                "HEM_FEEDBACK_SHADOW": "0.999999",
                "HEM_EDGE_URL": f"{side.url}/v1",
                "HEM_CLOUD_URL": f"{side.url}/v1",
                "HEM_EDGE_MODEL": "small",
                "HEM_CLOUD_MODEL": "large",
                "HEM_UI": "on",
            },
            ready="/v2/models/qa-hem/ready",
        )
        await page.looks(1280)
        await live(page, f"{server.url}/ui")
        # The first version promises nothing, and the page says what that means.
        assert (await text_of(page, "#promised")).endswith("nothing promised")
        assert "nothing watches it" in await text_of(page, "#promise")
        assert await text_of(page, "#version") == "1"
        assert "1 added" in await text_of(page, "#switches")

        # Feedback.
        await ask(page, "What is 1 + 1?")
        await page.until(ANSWERED)
        await page.until(
            "fetch('state.json').then((a) => a.json())"
            ".then((s) => s.learning.feedback.shadow.scored == 1)"
        )
        await rates(page)
        said = [{"request_id": "of-nobody", "thumbs": "up"}]
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.post("/feedback", json=said)).status_code == 200
            assert (await client.post("/feedback", json=[{}])).status_code == 400
        await page.until(says("1 of unknown requests, 2 refused"))
        tiles = await page.run("document.getElementById('feedback').innerText")
        assert "Users' feedback\n3\n" in tiles and "Shadow pairs\n1\n" in tiles
        assert "Decisions kept\n1\n" in tiles

        # A version that promises something, and keeps it.
        versions.promote(promising(0.8, 0.25, tmp_path / "two"), ADDED, "better than 1", 1)
        await page.until("document.getElementById('version').textContent == '2'", LARGEST)
        assert await text_of(page, "#promised") == "? promise not checked"
        await asyncio.to_thread(checked, versions, pairs, 40)
        await page.until(says("promise kept"), LARGEST)
        losses = await page.run("document.getElementById('losses').innerText")
        assert "Quality loss, live\n0.100\n" in losses and "Promised, at most\n0.25\n" in losses
        label = "document.querySelector('#losses svg').getAttribute('aria-label')"
        assert "live quality loss 0.100, between 0." in await page.run(label)
        assert (await page.run("document.body.innerText")).count("Promised: ") == 1
        await it_is_legible(page)

        # A tie, and a bad version, which a check rolls back.
        tie = {"at": "2026-11-29T03:00:00+00:00", "promoted": False, "why": "a tie"}
        tell(versions.folder, RETRAINED, {**tie, "rows": {"base": 900, "shadow": 40}})
        rows = "not promoted: a tie. Rows: 900 base rows, 40 shadow pairs."
        await page.until(says(rows), LARGEST)
        versions.promote(promising(0.7, 0.25, tmp_path / "three"), ADDED, "planted", 2)
        await page.until("document.getElementById('version').textContent == '3'", LARGEST)
        found = await asyncio.to_thread(checked, versions, pairs, 400)
        assert found.rolled_back_to == 2
        await page.until("document.getElementById('version').textContent == '2'", LARGEST)
        assert await text_of(page, "#switches li.back .what") == "back to 2"
        told = await text_of(page, "#promise .failed")
        assert told.startswith("Version 3 broke its promise, by the last check,")
        assert told.endswith("Version 2 is in force.")
        assert await text_of(page, "#promised") == "? promise not checked"
        await it_is_legible(page)
    assert page.faults == []


async def test_a_broken_promise_that_nobody_could_go_back_from_is_seen(
    page: Tab, pairs: Store, start_server: StartServer, tmp_path: Path
) -> None:
    versions = Versions.at(tmp_path / "alone")
    versions.promote(promising(0.8, 0.25, tmp_path / "one"), ADDED, "", None, how="added")
    found = checked(versions, pairs, 400)
    assert found.stuck
    server = await asyncio.to_thread(
        start_server,
        *("transformers_hem", "--model_name", "qa-hem"),
        env={
            "HEM_ROUTER": str(versions.folder),
            "HEM_EDGE_URL": "http://127.0.0.1:9/v1",
            "HEM_CLOUD_URL": "http://127.0.0.1:9/v1",
            "HEM_EDGE_MODEL": "small",
            "HEM_CLOUD_MODEL": "large",
            "HEM_UI": "on",
        },
        ready="/v2/models/qa-hem/ready",
    )
    await live(page, f"{server.url}/ui")
    assert await text_of(page, "#promised") == "✕ promise broken"
    assert found.stuck in await text_of(page, "#promise")
    assert "HEM_FEEDBACK_STORE" in await text_of(page, "#feedback")
    await it_is_legible(page)
    assert page.faults == []


async def test_an_answer_of_both_models_tells_its_drafts(page: Tab) -> None:
    told = {
        "speculation": "speculative",
        **{"draft_rounds": 12, "drafted_tokens": 60, "accepted_tokens": 54, "cloud_passes": 14},
    }
    async with (
        scripted_side(lambda _: streamed("large", "both", hem=told)) as edge,
        gateway(edge=edge.url, algorithm=None, strategy="speculative", page=True) as client,
    ):
        await live(page, f"{client.base_url}/ui")
        await ask(page, "Who says so?")
        await page.until(ANSWERED)
        facts = await text_of(page, "#log .facts")
        assert "drafts taken54 of 60 tokens" in facts and "cloud passes14" in facts
        await page.until(says("Drafts taken"))
        assert "90%" in await text_of(page, "#tiles")
        assert "by the strategy" in await text_of(page, "#rows")
        assert page.faults == []
