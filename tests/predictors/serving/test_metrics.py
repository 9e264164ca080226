"""What /metrics says of a server's requests and answers; no caller makes series of its own."""

import time
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from predictors.contract import text_request
from predictors.metric_names import OTHER, Names, one_of
from tests.conftest import ServerProcess

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
HOSTILE = "x\"}hostile{'`${1}<script>"


def scrape(server: ServerProcess) -> Series:
    text = httpx.get(f"{server.url}/metrics", timeout=10).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Series, name: str, **labels: str) -> float:
    """The sum of the series that have these labels."""
    wanted = set(labels.items())
    return sum(v for (n, own), v in found.items() if n == name and wanted <= own)


def infer(server: ServerProcess, *texts: str, **parameters: str) -> httpx.Response:
    url = f"{server.url}/v2/models/m/infer"
    return httpx.post(url, json=text_request(list(texts), parameters), timeout=10)


def chat(server: ServerProcess, text: str, **fields: object) -> httpx.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **fields}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=10)


@pytest.fixture
def before(scripted: ServerProcess) -> Iterator[Series]:
    yield scrape(scripted)


def test_an_answer_is_counted_with_its_time_and_tokens(
    scripted: ServerProcess, before: Series
) -> None:
    infer(scripted, "one two", "three", hem_route="cloud").raise_for_status()
    found = scrape(scripted)
    labels = {"model_name": "m", "route": "cloud"}

    def more(name: str, **other: str) -> float:
        return value(found, name, **labels, **other) - value(before, name, **labels, **other)

    assert more("hem_answers_total", outcome="answered") == 2
    assert more("hem_answer_seconds_count") == 1
    assert more("hem_answer_first_token_seconds_count") == 2
    assert more("hem_answer_tokens_total", kind="input") == 3
    assert more("hem_answer_tokens_total", kind="output") > 0


def test_a_stream_is_counted_as_a_whole_answer_is(scripted: ServerProcess, before: Series) -> None:
    chat(scripted, "a b c", stream=True)
    chat(scripted, "a b c")
    found = scrape(scripted)
    for name in ("hem_answers_total", "hem_answer_seconds_count"):
        assert value(found, name, route="none") - value(before, name, route="none") == 2


@pytest.mark.parametrize(
    ("text", "outcome", "status"), [("fail x", "failed", "500"), ("crash x", "failed", "500")]
)
def test_a_failure_is_counted(
    scripted: ServerProcess, before: Series, text: str, outcome: str, status: str
) -> None:
    assert infer(scripted, text).status_code == int(status)
    found = scrape(scripted)
    for name, labels in (
        ("hem_answers_total", {"outcome": outcome}),
        ("hem_http_requests_total", {"status": status, "path": "/v2/models/{model}/infer"}),
    ):
        assert value(found, name, **labels) - value(before, name, **labels) == 1


def test_who_leaves_is_counted_and_nothing_is_under_way_then(
    scripted: ServerProcess, before: Series
) -> None:
    begun = len(scripted.logged("scripted: waits"))
    caller = scripted.begin("/v2/models/m/infer", text_request(["sleep 60"]))
    scripted.wait_logged("scripted: waits", begun + 1)
    caller.close()
    counted = (("hem_answers_total", "outcome", "cancelled"),)
    counted += (("hem_http_requests_total", "status", "left"),)
    deadline = time.monotonic() + 10
    while True:
        found = scrape(scripted)
        more = [value(found, n, **{k: v}) - value(before, n, **{k: v}) for n, k, v in counted]
        if more == [1, 1]:
            break
        assert time.monotonic() < deadline, more
        time.sleep(0.05)
    assert value(found, "hem_http_requests_under_way") == 0


def test_no_caller_makes_a_series(scripted: ServerProcess) -> None:
    """Names of models, paths, parameters, headers, methods and bodies that are new each time."""

    def attack(number: int) -> None:
        own = f"{HOSTILE}{number}"
        base = httpx.URL(scripted.url)
        for path in (f"/{own}", f"/v2/models/{own}/infer", f"/v2/models/m/versions/{own}/infer"):
            url = base.copy_with(path=path)
            headers = {"x-request-id": f"r{number}", "traceparent": f"00-{number}-x-y"}
            headers |= {"x-hem-route": f"r{number}", "x-hem-reason": f"s{number}"}
            httpx.post(url, json=text_request(["x"]), headers=headers, timeout=10)
            httpx.request(f"M{number}", url, timeout=10)
        decided = {f"hem_{name}": own for name in ("route", "reason", "algorithm", "score")}
        infer(scripted, "x", **decided)
        chat(scripted, "x", user=own, metadata={own: own})
        body = {"model": own, "messages": [{"role": "user", "content": "x"}]}
        httpx.post(f"{scripted.url}/v1/chat/completions", json=body, timeout=10)

    attack(0)
    settled = scrape(scripted)
    for number in range(1, 6):
        attack(number)
    found = scrape(scripted)
    assert found.keys() == settled.keys()
    assert "hostile" not in str(found)
    assert value(found, "hem_http_requests_total", path=OTHER) > 5


def test_names_that_others_tell_are_bounded() -> None:
    names = Names(most=3)
    assert [names.bounded(f"m{i}") for i in range(5)] == ["m0", "m1", "m2", OTHER, OTHER]
    assert names.bounded("m1") == "m1"
    assert Names().bounded("a\nb") == Names().bounded("a" * 101) == Names().bounded("") == OTHER


@pytest.mark.parametrize(("given", "shown"), [("edge", "edge"), ("x", OTHER), (["edge"], OTHER)])
def test_a_value_of_a_fixed_table_is_itself(given: object, shown: str) -> None:
    assert one_of(given, ("edge", "cloud")) == shown
