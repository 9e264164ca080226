"""What Prometheus sees of speculation (docs/metrics.md). `upstream` is the server that checks."""

from typing import Final

from prometheus_client import Counter, Gauge

from predictors.contract.answer import Speculation
from predictors.engines.speculative.pace import Pace

_ANSWERS = Counter(
    "hem_speculative_answers_total",
    "Answers by who gave them: speculative; cloud (the large model alone); edge (the small one).",
    ["upstream", "way"],
)
_ANSWER_TOKENS = Counter(
    "hem_speculative_answer_tokens_total", "Tokens of these answers.", ["upstream", "way"]
)
_TOKENS = Counter(
    "hem_speculative_tokens_total",
    "Drafted tokens: drafted (sent to be checked), accepted (in the answer).",
    ["upstream", "kind"],
)
_ROUNDS = Counter("hem_speculative_rounds_total", "Rounds of drafts.", ["upstream"])
_PASSES = Counter(
    "hem_speculative_passes_total", "Passes of the large model for them.", ["upstream"]
)
_LINK_SECONDS = Counter(
    "hem_speculative_link_seconds_total",
    "Time that rounds were under way, less the large model's computing.",
    ["upstream"],
)
_ACCEPTANCE = Gauge(
    "hem_speculative_acceptance",
    "Share of the drafted tokens that are taken, of late.",
    ["upstream"],
)
_ROUND_TRIP = Gauge(
    "hem_speculative_round_trip_seconds", "Of the link, of late, without computing.", ["upstream"]
)
WAYS: Final = ("speculative", "cloud", "edge")


def prepare(upstream: str) -> None:
    """A series that is not there yet has no rate."""
    for way in WAYS:
        _ANSWERS.labels(upstream, way)
    for counter in (_ROUNDS, _PASSES, _LINK_SECONDS):
        counter.labels(upstream)


def answered(upstream: str, told: Speculation, tokens: int, pace: Pace) -> None:
    _ANSWERS.labels(upstream, told.route).inc()
    _ANSWER_TOKENS.labels(upstream, told.route).inc(tokens)
    if not told.draft_rounds:
        return
    _ROUNDS.labels(upstream).inc(told.draft_rounds)
    _PASSES.labels(upstream).inc(told.cloud_passes)
    _TOKENS.labels(upstream, "drafted").inc(told.drafted_tokens)
    _TOKENS.labels(upstream, "accepted").inc(told.accepted_tokens)
    _LINK_SECONDS.labels(upstream).inc(told.link_seconds)
    _ACCEPTANCE.labels(upstream).set(pace.taken.value)
    _ROUND_TRIP.labels(upstream).set(pace.link.value)
