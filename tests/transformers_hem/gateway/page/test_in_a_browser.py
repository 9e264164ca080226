"""The page in a real browser: asking, watching, trying thresholds; by keys, at every width."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from predictors.prices import Price, Prices
from tests.inferencegraph.running_hem import RunningHem
from tests.tab import Tab, tab
from tests.transformers_hem.gateway.gateway_under_test import gateway
from tests.transformers_hem.gateway.scripted_side import (
    SSE,
    event,
    head,
    never,
    scripted_side,
    streamed,
    usage,
)

pytestmark = pytest.mark.system

HARMFUL = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
ANSWERED = "document.querySelectorAll('#log article .facts div').length > 0"
ROWS = "document.querySelectorAll('#rows tr').length"


@pytest.fixture(scope="module")
def hem() -> Iterator[RunningHem]:
    with RunningHem([]) as running:
        yield running


@pytest.fixture(scope="module")
def url(hem: RunningHem) -> str:
    (ready,) = [event for event in hem.events if event["event"] == "all_ready"]
    return str(ready["pages"]["qa"])


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Tab]:
    async with tab(tmp_path / "profile") as driven:
        yield driven


async def ask(page: Tab, text: str) -> None:
    await page.run("document.getElementById('question').focus()")
    await page.write(text)
    await page.press("Enter")


async def text_of(page: Tab, selector: str) -> str:
    return str(await page.run(f"document.querySelector({json.dumps(selector)}).textContent"))


async def live(page: Tab, url: str) -> None:
    await page.open(url)
    await page.until("document.getElementById('fresh').textContent == 'live'")


async def overflow(page: Tab) -> Any:
    """Pixels that the page is wider than the screen."""
    return await page.run("document.documentElement.scrollWidth - innerWidth")


async def test_a_question_is_answered_token_by_token_and_told_why(page: Tab, url: str) -> None:
    await page.looks(1280)
    await live(page, url)
    await page.until("document.querySelector('#chart svg')")
    await page.run(
        "new MutationObserver((all) => { window.steps = (window.steps ?? 0)"
        " + all.filter((each) => each.type == 'characterData').length; })"
        ".observe(document.getElementById('log'), {characterData: true, subtree: true})"
    )
    rows = await page.run(ROWS)
    await ask(page, "Spell BOEBABID backwards.")
    await page.until(ANSWERED)
    assert await text_of(page, "#log .answer") == "DIBABEOB"
    assert await page.run("window.steps") > 1
    decision = await text_of(page, "#log .decision")
    assert decision.startswith("edgeeasy: score 0.") and "threshold 0.389" in decision
    facts = await text_of(page, "#log .facts")
    assert "qa-edge" in facts and "first token" in facts and "tokens" in facts
    await page.until(f"{ROWS} > {rows}")
    assert "BOEBABID" not in await text_of(page, "#recent")
    await page.until("document.getElementById('tiles').textContent.includes('At the edge')")
    assert page.faults == []


async def test_a_v2_request_of_the_graph_is_among_the_recent(
    page: Tab, url: str, hem: RunningHem
) -> None:
    await live(page, url)
    before = await page.run(ROWS)
    assert (await asyncio.to_thread(hem.ask, "What is 1 + 1?")).status_code == 200
    await page.until(f"{ROWS} == {before + 1}")
    assert "by the graph" in await text_of(page, "#rows tr")


async def test_what_named_its_side_is_folded_away_until_somebody_looks(
    page: Tab, url: str, hem: RunningHem
) -> None:
    await live(page, url)
    before = await page.run(ROWS)
    copies = "document.querySelectorAll('#copies tr').length"
    known = await page.run(copies)
    share = (await text_of(page, "#tiles .note")).partition(";")[0]
    asked = await asyncio.to_thread(hem.ask, "What is 2 + 2?", hem_prefer="edge")
    assert asked.status_code == 200
    await page.until(f"{copies} == {known + 1}")
    assert await page.run(ROWS) == before
    # No query more: the share at the edge is that of what the router decided.
    left_out = f"{known + 1} copies left out" if known else "1 copy left out"
    assert await text_of(page, "#tiles .note") == f"{share}; {left_out}"
    assert "asked for" not in await text_of(page, "#reasons")
    seen = "document.getElementById('copies').checkVisibility()"
    assert not await page.run(seen)
    assert (await text_of(page, "#fold")).startswith(f"Show {known + 1} that named a side")
    await page.run("document.getElementById('fold').focus()")
    await page.press("Enter")
    assert await page.run(seen)
    top = "document.querySelector('#copies tr').getBoundingClientRect().bottom"
    box = "document.querySelector('#recent .wide').getBoundingClientRect().bottom"
    assert await page.run(f"{top} <= {box}")  # where one looks, however many rows are above
    assert "this side was asked for" in await text_of(page, "#copies tr")


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("dark", [False, True])
async def test_it_fits_the_screen_and_is_legible(
    page: Tab, url: str, width: int, dark: bool
) -> None:
    await page.looks(width, dark=dark)
    await live(page, url)
    assert await overflow(page) <= 0
    await ask(page, "Write the word BANERUTOLIKA backwards and say something about " + "x" * 300)
    await page.until(ANSWERED)
    await page.until("document.querySelector('#chart svg')")
    await page.run("document.querySelector('details').open = true")
    await page.until(f"{ROWS} > 0")
    assert await overflow(page) <= 0
    assert await page.run(CONTRAST) == []
    background = await page.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 300) == dark
    assert page.faults == []


async def test_the_slider_tells_by_keys_what_would_change(page: Tab, url: str) -> None:
    await live(page, url)
    await page.until("document.querySelector('#chart svg')")
    table = "document.getElementById('compare').innerText"
    now = await page.run(table)
    assert "0.389" in now and "95.5%" in now
    await page.run("document.getElementById('slider').focus()")
    await page.press("ArrowLeft", times=2)
    lower = await page.run(table)
    assert lower != now and "0.389" in lower and "points" in lower
    assert "HEM_THRESHOLD=" in await text_of(page, "#how")
    told = "document.getElementById('slider').getAttribute('aria-valuetext')"
    assert "60% at the edge, threshold " in await page.run(told)
    await page.press("End")
    assert (await page.run(told)).startswith("100% at the edge, threshold 1, quality 70.3%")
    await page.press("Escape")
    assert await page.run(table) == now and "in force" in await page.run(told)
    state = await page.run("fetch('state.json').then((answer) => answer.json())")
    assert state["threshold"]["at"] == pytest.approx(0.38932)  # as it was
    assert page.faults == []


async def test_all_is_reached_by_tab_in_the_order_of_the_page(page: Tab, url: str) -> None:
    await live(page, url)
    await page.until("document.querySelector('#chart svg')")
    reached = []
    focused = "document.activeElement"
    visible = f"getComputedStyle({focused}).outlineStyle != 'none' || {focused}.type == 'radio'"
    for _ in range(11):
        await page.press("Tab")
        reached.append(await page.run(f"{focused}.id || {focused}.tagName"))
        assert await page.run(visible), reached
    order = ["pause", "new", "log", "question", "keep", "send", "slider"]
    assert [name for name in reached if name in order] == order


async def test_what_a_model_says_is_text_and_never_html(page: Tab) -> None:
    async with (
        scripted_side(lambda _: streamed("large" + HARMFUL, HARMFUL, HARMFUL)) as cloud,
        gateway(cloud=cloud.url, page=True) as client,
    ):
        await live(page, f"{client.base_url}/ui")
        await ask(page, HARMFUL)
        await page.until(ANSWERED)
        await page.until(f"{ROWS} > 0")
        assert await text_of(page, "#log .answer") == HARMFUL * 2
        assert await text_of(page, "#log .question") == HARMFUL
        assert "onerror" in await text_of(page, "#rows")  # the model's name
        assert await page.run("document.querySelectorAll('img, main script').length") == 0
        assert await page.run("document.title") != "taken"
        assert page.faults == []


async def test_escape_stops_an_answer_and_the_server_learns_it(page: Tab) -> None:
    begun = head(SSE) + event("large", "one ") + event("large", "two ")
    async with (
        scripted_side(lambda _: begun, ends=never) as cloud,
        gateway(cloud=cloud.url, page=True) as client,
    ):
        await live(page, f"{client.base_url}/ui")
        await ask(page, "Count to a million")
        await page.until("document.querySelector('#log .answer').textContent == 'one two '")
        await page.until("!document.getElementById('stop').disabled")
        await page.press("Escape")
        await asyncio.wait_for(cloud.gone.wait(), 10)
        await page.until("document.querySelector('#log .stopped')")
        await page.until("document.querySelector('#rows').textContent.includes('the caller left')")
        assert await page.run("document.getElementById('stop').disabled")
        assert page.faults == []


async def test_a_conversation_goes_on_and_a_single_question_does_not(page: Tab) -> None:
    async with (
        scripted_side(lambda _: streamed("large", "yes")) as cloud,
        gateway(cloud=cloud.url, page=True) as client,
    ):
        await live(page, f"{client.base_url}/ui")
        for number, text in enumerate(("first", "second"), 1):
            await ask(page, text)
            await page.until(f"document.querySelectorAll('#log .facts div').length > {number}")
            await page.until(f"{ROWS} == {number}")
        await page.run("document.getElementById('keep').click()")
        await ask(page, "third")
        await page.until(f"{ROWS} == 3")
    said = [[message["content"] for message in body["messages"]] for body in cloud.asked]
    assert said == [["first"], ["first", "yes", "second"], ["third"]]


async def test_prices_tell_what_it_cost_and_would_have_cost(page: Tab) -> None:
    prices = Prices(
        currency="EUR",
        models={"small": Price(input=1, output=2), "large": Price(input=10, output=20)},
    )
    async with (
        scripted_side(lambda _: streamed("small", "hi", usage=usage(100, 10))) as near,
        scripted_side(lambda _: streamed("large", "hi", usage=usage(100, 10))) as far,
        gateway(edge=near.url, cloud=far.url, page=True, prices=prices) as client,
    ):
        await live(page, f"{client.base_url}/ui")
        await ask(page, "to the cloud")
        await page.until(f"{ROWS} == 1")
        assert "0.0012 EUR" in await text_of(page, "#log .facts")
        await page.until("document.getElementById('tiles').textContent.includes('Cost, EUR0.0012')")
        await page.run("document.querySelector('input[value=edge]').click()")
        await ask(page, "to the edge")
        await page.until(f"{ROWS} == 2")
        facts = await text_of(page, "#log article:last-child .facts")
        assert "cost0.00012 EUR" in facts and "in the cloud0.0012 EUR" in facts


async def test_where_keys_are_needed_it_asks_for_one_and_keeps_it_in_the_tab(
    page: Tab, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("sk-good")
    async with (
        scripted_side(lambda _: streamed("large", "yes")) as cloud,
        gateway(cloud=cloud.url, keys=keys, page=True) as client,
    ):
        await page.open(f"{client.base_url}/ui")
        opened = "document.getElementById('key-dialog').open"
        await page.until(f"{opened} && document.activeElement.id == 'key'")
        await page.write("sk-bad")
        await page.press("Enter")
        await page.until("document.getElementById('key-why').textContent.includes('not known')")
        await page.until(f"{opened} && document.activeElement.id == 'key'")
        await page.write("sk-good")
        await page.press("Enter")
        await page.until("document.getElementById('fresh').textContent == 'live'")
        await ask(page, "Do I have a key?")
        await page.until(ANSWERED)
        assert await page.run("Object.values(sessionStorage)") == ["sk-good"]
        assert await page.run("localStorage.length + document.cookie.length") == 0
        assert await page.run("document.querySelector('.rating')") is None  # nothing is kept here
        assert "sk-good" not in await page.run("document.documentElement.outerHTML")
        refused = [fault for fault in page.faults if "401" not in fault]
        assert refused == []


async def test_a_gateway_that_is_gone_is_told_and_found_again(page: Tab) -> None:
    async with gateway(page=True) as client:
        await live(page, f"{client.base_url}/ui")
    await page.until("document.getElementById('fresh').textContent.startsWith('no answer')")
    await page.run("document.getElementById('pause').click()")
    assert await text_of(page, "#fresh") == "paused"


async def test_nothing_is_asked_for_while_nobody_looks(page: Tab) -> None:
    async def asked() -> int:
        entries = "performance.getEntriesByType('resource')"
        return int(
            await page.run(f"{entries}.filter((each) => each.name.includes('state.json')).length")
        )

    async def hidden(value: bool) -> None:
        await page.run(
            "Object.defineProperty(document, 'hidden', "
            f"{{configurable: true, value: {str(value).lower()}}});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )

    async with gateway(page=True) as client:
        await live(page, f"{client.base_url}/ui")
        await hidden(True)
        await asyncio.sleep(0.2)  # what was under way
        before = await asked()
        await asyncio.sleep(2.5)
        assert await asked() == before
        await hidden(False)
        await page.until(
            "performance.getEntriesByType('resource')"
            f".filter((each) => each.name.includes('state.json')).length >= {before + 2}"
        )


async def test_what_a_model_thinks_stands_apart_from_its_answer(page: Tab) -> None:
    thought = {"id": "c", "choices": [{"index": 0, "delta": {"reasoning_content": "Hm. "}}]}
    said = head(SSE) + 2 * (b"data: " + json.dumps(thought).encode() + b"\n\n")
    said += streamed("large", "yes").removeprefix(head(SSE))
    async with (
        scripted_side(lambda _: said) as cloud,
        gateway(cloud=cloud.url, page=True) as client,
    ):
        await live(page, f"{client.base_url}/ui")
        await ask(page, "Is it so?")
        await page.until(ANSWERED)
        assert await text_of(page, "#log .answer") == "yes"
        assert await text_of(page, "#log details p") == "Hm. Hm. "
