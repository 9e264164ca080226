"""`hem estimate`."""

from pathlib import Path

from inferencegraph.commands import estimate_options as given
from inferencegraph.commands.options import (
    AsJson,
    MaxTokens,
    RepetitionPenalty,
    Temperature,
    TopP,
    chosen,
)


def estimate(
    data: given.Data,
    scorer: given.Scorer,
    edge: given.Edge = None,
    max_quality_loss: given.MaxQualityLoss = None,
    edge_ratio: given.EdgeRatio = None,
    confidence: given.Confidence = 0.9,
    precision: given.Precision = None,
    about: given.About = None,
    max_labels: given.MaxLabels = None,
    training_rows: given.TrainingRows = None,
    algorithm: given.Algorithm = "LinearRouter",
    agreement: given.Agreement = False,
    option: given.Option = None,
    prices: given.Prices = None,
    cloud_price: given.CloudPrice = None,
    edge_price: given.EdgePrice = None,
    currency: given.Currency = "USD",
    per_month: given.PerMonth = None,
    edge_model: given.EdgeModel = None,
    cloud_model: given.CloudModel = None,
    edge_key_env: given.EdgeKeyEnv = None,
    out: given.Out = Path("estimate"),
    limit: given.Limit = None,
    seed: given.Seed = 0,
    concurrency: given.Concurrency = 8,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    repetition_penalty: RepetitionPenalty = None,
    timeout: given.Timeout = 120.0,
    attempts: given.Attempts = 4,
    as_json: AsJson = False,
) -> None:
    """From your own log to a decision: what stays at the edge, what that saves, and how sure it is.

    Asks the edge alone, as few of the logged queries as it takes. The same command goes on where it
    was stopped. Exits with 1 where the data can't tell.

    Example: `hem estimate --data log.jsonl --edge http://127.0.0.1:8080 --scorer numeric
    --max-quality-loss 0.02 --cloud-price 2.5 10 --per-month 100000`
    """
    from inferencegraph.commands.estimating import (
        read_key,
        read_pricing,
        read_seed,
        require_prices,
        run_job,
        tell_left_out,
    )
    from inferencegraph.evaluate.estimating.aim import Aim
    from inferencegraph.evaluate.estimating.edge import open_edge
    from inferencegraph.evaluate.estimating.job import Job, require_query_stage
    from inferencegraph.evaluate.estimating.log import read_log
    from transformers_hem.labels.scorers.options import make_scorer

    aim = Aim.of(
        max_quality_loss,
        edge_ratio,
        precision,
        about,
        confidence=confidence,
        max_labels=max_labels,
        training_rows=training_rows,
        algorithm=algorithm,
        seed=read_seed(seed),
    )
    require_query_stage(algorithm)
    pricing = read_pricing(prices, cloud_price, edge_price, currency, cloud_model, edge_model)
    judge = make_scorer(scorer, option or ())
    log = read_log(data, judge, scorer, agreement)
    tell_left_out(log)
    require_prices(pricing, log)
    parameters = chosen(
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
    )
    asked = edge and open_edge(
        edge, edge_model, read_key(edge_key_env), parameters, timeout, attempts
    )
    run_job(
        Job(log, out, aim, judge, scorer, asked or None, pricing, limit, per_month, concurrency),
        as_json,
    )
