"""`hem bench`."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from inferencegraph.commands import bench_options as given
from inferencegraph.commands.options import DEFAULT_URL, AsJson, MaxTokens, Temperature
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from inferencegraph.evaluate.load.target import Target

MOST_URLS = 26  # their names are letters
HOPS_REQUESTS = 200


def bench(
    url: given.Url = None,
    rate: given.Rate = None,
    concurrency: given.Concurrency = None,
    duration: given.Duration = None,
    requests: given.Requests = None,
    warmup: given.Warmup = 2.0,
    data: given.Data = None,
    stream: given.Stream = False,
    model: given.Model = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    key_file: given.KeyFile = "",
    timeout: given.Timeout = 120.0,
    blocks: given.Blocks = 10,
    seed: given.Seed = 0,
    hops: given.Hops = False,
    out: given.Out = None,
    as_json: AsJson = False,
) -> None:
    """Puts load on a graph, a predictor or an OpenAI endpoint: how many a second, how fast, how
    much memory.

    Latencies at a rate count from when a request was to leave, so that a server that stalls does
    not hide it. The harness says where it was the bottleneck itself. Ctrl-C prints what there is
    so far.

    Example: `hem bench --concurrency 1,8,64`, or against another server:
    `hem bench --url http://127.0.0.1:8180/v1 --url http://127.0.0.1:8000/v1 --stream --rate 20`
    """
    from inferencegraph.commands.benching import Job, run_hops, run_load
    from inferencegraph.evaluate.load.hops import local_hops
    from inferencegraph.evaluate.load.plan import load
    from inferencegraph.evaluate.load.questions import read_questions
    from inferencegraph.evaluate.load.target import sampling

    urls = url or [DEFAULT_URL]
    if len(urls) > MOST_URLS:
        raise ConfigurationError(f"--url: {len(urls)} are too many; at most {MOST_URLS}")
    questions = read_questions(data)
    if hops:
        pace = {"--rate": rate, "--concurrency": concurrency, "--duration": duration}
        _refuse_beside_hops(urls, stream, pace)
        greedy = sampling(max_tokens, 0.0 if temperature is None else temperature)
        job = Job(local_hops(urls[0]), questions, greedy, timeout, out, as_json)
        run_hops(job, requests or HOPS_REQUESTS, seed)
        return
    targets = _targets(urls, stream, key_file, model)
    plan = load(rate, concurrency, duration, requests, warmup, blocks, len(targets), seed)
    job = Job(targets, questions, sampling(max_tokens, temperature), timeout, out, as_json)
    run_load(job, plan)


def _refuse_beside_hops(urls: list[str], stream: bool, pace: Mapping[str, object]) -> None:
    from predictors.upstream.ask import check_url

    check_url(urls[0], "--url", DEFAULT_URL)
    if len(urls) > 1 or stream:
        raise ConfigurationError("--hops: give the one --url of a graph, and no --stream")
    for option, value in pace.items():
        if value is not None:
            raise ConfigurationError(f"{option} and --hops: hops are asked one at a time")


def _targets(urls: Sequence[str], stream: bool, key_file: str, model: str | None) -> "list[Target]":
    from inferencegraph.evaluate.load.target import target

    key = _key(key_file)
    return [
        target(chr(ord("A") + place), url, stream=stream, key=key, model=model)
        for place, url in enumerate(urls)
    ]


def _key(key_file: str) -> str:
    from predictors.upstream.openai.endpoint import check_key, read_key

    if key_file:
        return read_key(key_file, "--key-file")
    return check_key(os.environ.get("OPENAI_API_KEY", ""), "OPENAI_API_KEY")
