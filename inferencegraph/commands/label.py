"""`hem label`."""

import json
import re
from pathlib import Path

from inferencegraph.commands import label_options as given
from inferencegraph.commands.options import (
    AsJson,
    MaxTokens,
    RepetitionPenalty,
    Seed,
    Temperature,
    TopP,
    chosen,
)
from predictors.errors import ConfigurationError


def label(
    data: given.Data,
    scorer: given.Scorer,
    out: given.Out,
    edge: given.Edge = None,
    cloud: given.Cloud = None,
    url: given.Url = None,
    option: given.Option = None,
    epsilon: given.Epsilon = 0.0,
    concurrency: given.Concurrency = 8,
    limit: given.Limit = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    repetition_penalty: RepetitionPenalty = None,
    seed: Seed = None,
    prefix_tokens: given.PrefixTokens = None,
    timeout: given.Timeout = 120.0,
    attempts: given.Attempts = 4,
    mixinstruct: given.Mixinstruct = False,
    as_json: AsJson = False,
) -> None:
    """Asks both models a file of questions, scores the answers and writes rows for `hem train`.

    The same command goes on where it was stopped: nothing is asked twice.

    Example: `hem label --data queries.jsonl --url http://127.0.0.1:8080 --scorer numeric
    --out labels.jsonl`
    """
    sizes = _sizes(prefix_tokens)
    asks = any((edge, cloud, url)) and not mixinstruct
    if sizes and not asks:
        way_out = "MixInstruct tells none" if mixinstruct else "give --edge and --cloud"
        raise ConfigurationError(f"--prefix-tokens needs models to ask: {way_out}")
    if mixinstruct:
        _convert(data, out, edge, cloud, scorer, as_json)
        return
    from inferencegraph.commands.labelling import run_job
    from transformers_hem.labels.asking import Models
    from transformers_hem.labels.job import Job

    parameters = chosen(
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
    )
    models = Models.at(edge, cloud, url, parameters, sizes) if asks else None
    job = Job(
        data,
        out,
        scorer,
        option or (),
        models,
        epsilon,
        concurrency,
        limit,
        seed,
        timeout,
        attempts,
    )
    run_job(job, as_json)


def _sizes(listed: str | None) -> tuple[int, ...]:
    """Numbers of tokens, ascending."""
    if listed is None:
        return ()
    numbers = [each.strip() for each in listed.split(",")]
    if not all(re.fullmatch("[1-9][0-9]{0,5}", each) for each in numbers):
        raise ConfigurationError(
            f"--prefix-tokens {listed!r} must be numbers of tokens with commas between them, as "
            "8,16,32"
        )
    return tuple(sorted({int(each) for each in numbers}))


def _convert(
    data: Path, out: Path, edge: str | None, cloud: str | None, score: str, as_json: bool
) -> None:
    from transformers_hem.labels.mixinstruct import convert

    if edge is None or cloud is None:
        raise ConfigurationError("--from-mixinstruct needs --edge and --cloud, two models' names")
    rows, skipped = convert(data, out, edge, cloud, score)
    if as_json:
        print(json.dumps({"out": str(out), "scorer": score, "rows": rows, "skipped": skipped}))
    else:
        print(f"{rows} labels in {out}, {skipped} rows have no such comparison")
