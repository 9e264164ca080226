"""`hem bench`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from inferencegraph.commands.options import DEFAULT_URL, AsJson, MaxTokens, Temperature
from predictors.errors import ConfigurationError

MOST_URLS = 26  # their names are letters
HOPS_REQUESTS = 200


def bench(
    url: Annotated[
        list[str] | None,
        typer.Option(
            help="A graph, a predictor's /v2/models/NAME/infer, or OpenAI's API (ends in /v1); "
            f"repeatable: asked in turns and compared. Default: {DEFAULT_URL}.",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="R[,R...]",
            help="Requests a second, at random times (Poisson), whatever comes back.",
            show_default=False,
        ),
    ] = None,
    concurrency: Annotated[
        str | None,
        typer.Option(
            metavar="N[,N...]",
            help="Callers who wait for each answer; several numbers: one after the other (8).",
            show_default=False,
        ),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Of each URL at each level (10).", show_default=False),
    ] = None,
    requests: Annotated[
        int | None,
        typer.Option(min=1, help="In place of a duration.", show_default=False),
    ] = None,
    warmup: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Before each level; doesn't count."),
    ] = 2.0,
    data: Annotated[
        Path | None,
        typer.Option(
            help="JSONL rows {query}, {inputs} (V2) or {messages} (chats). "
            "Default: shipped questions.",
            show_default=False,
        ),
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Ask for streams (OpenAI's API).")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(help="Of OpenAI's API. Default: the first listed.", show_default=False),
    ] = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    key_file: Annotated[
        str,
        typer.Option(
            help="File with the key of OpenAI URLs; or set OPENAI_API_KEY.", show_default=False
        ),
    ] = "",
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one answer.")] = 120.0,
    blocks: Annotated[
        int, typer.Option(min=2, help="Turns of each of several URLs: A B B A ...")
    ] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Of the random times.")] = 0,
    hops: Annotated[
        bool,
        typer.Option(
            "--hops",
            help="What mining and each hop of a local `hem up` cost: the same questions (200) at "
            "each of its services, one at a time.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Keeps each request there (requests.jsonl), and summary.json.",
            show_default=False,
        ),
    ] = None,
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
    from inferencegraph.evaluate.load.target import sampling, target as target_of

    urls = url or [DEFAULT_URL]
    if len(urls) > MOST_URLS:
        raise ConfigurationError(f"--url: {len(urls)} are too many; at most {MOST_URLS}")
    questions = read_questions(data)
    if hops:
        given = {"--rate": rate, "--concurrency": concurrency, "--duration": duration}
        _refuse_beside_hops(urls, stream, given)
        greedy = sampling(max_tokens, 0.0 if temperature is None else temperature)
        job = Job(local_hops(urls[0]), questions, greedy, timeout, out, as_json)
        run_hops(job, requests or HOPS_REQUESTS, seed)
        return
    key = _key(key_file)
    targets = [
        target_of(chr(ord("A") + place), each, stream=stream, key=key, model=model)
        for place, each in enumerate(urls)
    ]
    plan = load(rate, concurrency, duration, requests, warmup, blocks, len(targets), seed)
    job = Job(targets, questions, sampling(max_tokens, temperature), timeout, out, as_json)
    run_load(job, plan)


def _refuse_beside_hops(urls: list[str], stream: bool, given: Mapping[str, object]) -> None:
    from predictors.upstream.ask import check_url

    check_url(urls[0], "--url", DEFAULT_URL)
    if len(urls) > 1 or stream:
        raise ConfigurationError("--hops: give the one --url of a graph, and no --stream")
    for option, value in given.items():
        if value is not None:
            raise ConfigurationError(f"{option} and --hops: hops are asked one at a time")


def _key(key_file: str) -> str:
    from predictors.upstream.openai.endpoint import check_key, read_key

    if key_file:
        return read_key(key_file, "--key-file")
    return check_key(os.environ.get("OPENAI_API_KEY", ""), "OPENAI_API_KEY")
