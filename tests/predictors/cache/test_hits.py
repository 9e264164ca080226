"""What is answered from the cache, and what such an answer says; by a real predictor."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from predictors.contract import text_request
from tests.conftest import ServerProcess, StartServer
from tests.predictors.cache.conftest import Start, answers, infer, metric


@pytest.fixture(scope="module")
def server(counting: Start) -> ServerProcess:
    return counting("--cache", "memory")


def test_the_same_greedy_query_is_computed_once(server: ServerProcess) -> None:
    first, second = infer(server, "what is it?"), infer(server, "what is it?")
    assert second["text_output"] == first["text_output"]
    assert (first["cached"], second["cached"]) == (False, True)


def test_a_hit_reports_its_own_latency_and_keeps_the_models_telemetry(
    server: ServerProcess,
) -> None:
    first, hit = infer(server, "how long?"), infer(server, "how long?")
    assert first["time_to_first_token"] == [12.5]
    assert 0 < hit["time_to_first_token"][0] < 1
    assert hit["inter_token_latency"] == [0]
    own = {"time_to_first_token", "inter_token_latency", "cached"}
    assert {k: v for k, v in hit.items() if k not in own} == {
        k: v for k, v in first.items() if k not in own
    }
    assert hit["mean_logprob"] == [-0.5]


@pytest.mark.parametrize(
    "changed",
    [
        {"max_tokens": 9},
        {"repetition_penalty": 1.5},
        {"stop": "."},
    ],
)
def test_what_may_change_the_answer_is_another_query(
    server: ServerProcess, changed: dict[str, object]
) -> None:
    assert answers(server, "and so?") != answers(server, "and so?", **changed)
    assert answers(server, "and so?") != answers(server, "and so? ")


def test_what_greedy_decoding_does_not_read_changes_nothing(server: ServerProcess) -> None:
    assert answers(server, "greedy", top_p=0.5, seed=1) == answers(server, "greedy", seed=2)


def test_sampled_answers_are_computed_each_time_also_with_a_seed(server: ServerProcess) -> None:
    assert answers(server, "a", temperature=0.8) != answers(server, "a", temperature=0.8)
    seeded = {"temperature": 0.8, "seed": 1}
    assert answers(server, "a", **seeded) != answers(server, "a", **seeded)


def test_sampled_answers_are_kept_where_that_is_forced(counting: Start) -> None:
    server = counting("--cache", "memory", "--cache_sampled", "true")
    sampled = {"temperature": 0.8}
    assert answers(server, "a", **sampled) == answers(server, "a", **sampled)
    assert answers(server, "a", **sampled) != answers(server, "a", temperature=0.7)
    assert answers(server, "a", **sampled, seed=1) != answers(server, "a", **sampled, seed=2)


def test_a_batch_computes_only_the_rows_that_are_new_and_each_of_them_once(
    server: ServerProcess,
) -> None:
    (old,) = answers(server, "old")
    count = int(old.rpartition("#")[2])
    batch = infer(server, "new", "old", "new", "newer")
    assert batch["text_output"] == [
        f"new #{count + 1}",
        old,
        f"new #{count + 1}",
        f"newer #{count + 2}",
    ]
    assert batch["cached"] is False
    assert batch["time_to_first_token"][1] < 1 < batch["time_to_first_token"][0]
    assert infer(server, "new", "old", "newer")["cached"] is True


def test_an_error_is_not_kept(server: ServerProcess) -> None:
    first, second = infer(server, "fail"), infer(server, "fail")
    assert first["error"] != second["error"]


def test_without_the_option_nothing_is_cached(counting: Start) -> None:
    server = counting()
    assert answers(server, "a") != answers(server, "a")


class TestTheSameAtTheSameTime:
    def test_is_computed_once(self, server: ServerProcess) -> None:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: infer(server, "slow once"), range(8)))
        assert len({answer["text_output"][0] for answer in found}) == 1
        assert [answer["cached"] for answer in found].count(False) == 1

    def test_goes_on_when_the_caller_who_began_has_left(self, server: ServerProcess) -> None:
        with ThreadPoolExecutor(2) as pool:
            leave_early(server, "slow left")
            while answers(server, "cancelled", temperature=1) != ["1"]:
                time.sleep(0.05)  # until the test's own time limit: nobody waits for it
            text = "slow slow slow stayed"
            first = pool.submit(leave_early, server, text, after=0.5)
            second = pool.submit(infer, server, text)
            first.result()
            assert second.result()["text_output"][0].startswith(f"{text} #")
        assert answers(server, "cancelled", temperature=1) == ["1"]

    def test_another_callers_bad_row_is_not_ours(self, server: ServerProcess) -> None:
        with ThreadPoolExecutor(2) as pool:
            both = pool.submit(infer, server, "slow good", "slow refuse")
            one = pool.submit(infer, server, "slow good")
            assert both.result() == {"error": "refused"}
            assert one.result()["text_output"][0].startswith("slow good #")


def leave_early(server: ServerProcess, text: str, after: float = 0.0) -> None:
    """So many seconds after it is computed."""
    begun = len(server.logged("counting: waits"))
    caller = server.begin("/v2/models/m/infer", text_request([text]))
    server.wait_logged("counting: waits", begun + 1)
    time.sleep(after)
    caller.close()


def test_prometheus_sees_what_the_cache_did(counting: Start) -> None:
    server = counting("--cache", "memory")
    for texts in (["a"], ["a"], ["a", "b"]):
        infer(server, *texts)
    infer(server, "a", temperature=1)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: infer(server, "slow slow slow both"), range(2)))
    results = {
        result: metric(server, "hem_cache_queries_total", model_name="m", result=result)
        for result in ("hit", "miss", "joined", "passed")
    }
    assert results == {"hit": 2, "miss": 3, "joined": 1, "passed": 1}
    assert metric(server, "hem_cache_entries", model_name="m") == 3
    assert 3 * 100 < metric(server, "hem_cache_bytes", model_name="m") < 3 * 1000


def test_memory_stays_within_its_bound_and_drops_what_was_not_used_for_longest(
    counting: Start,
) -> None:
    server = counting("--cache", "memory", "--cache_bytes", "10000")
    kept = answers(server, "long 0")
    for number in range(1, 20):
        answers(server, f"long {number}")
        assert answers(server, "long 0") == kept
        assert metric(server, "hem_cache_bytes", model_name="m") <= 10_000
    assert 3 <= metric(server, "hem_cache_entries", model_name="m") <= 9
    first = answers(server, "long 1")
    assert first[0].rstrip("x") != "long 1 #2"
    huge = "long " * 12
    assert answers(server, huge) != answers(server, huge)
    assert answers(server, "long 0") == kept


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--cache", "disk"], "--cache 'disk': must be off, memory, or a path"),
        (["--cache", "/"], "--cache '/': is a directory"),
        (["--cache", "/no/such/x"], "there is no directory /no/such"),
        (["--cache", "memory", "--cache_bytes", "12"], "--cache_bytes '12'"),
        (["--cache_import", "x.jsonl"], "--cache_import needs a cache; set --cache memory"),
        (
            ["--cache", "memory", "--cache_import", "/no.jsonl"],
            "/no.jsonl can't be read: No such file",
        ),
    ],
)
def test_a_wrong_option_is_one_line(
    start_server: StartServer, options: list[str], fault: str
) -> None:
    module = "tests.predictors.cache.counting"
    last = start_server(module, "--engine", "counting", *options).refusal()
    assert last.startswith("error: ")
    assert fault in last
