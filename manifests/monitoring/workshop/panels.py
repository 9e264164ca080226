"""The panels of the dashboard: their titles, what they ask Prometheus, and how a value is shown."""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["timeseries", "stat", "heatmap", "bargauge"]
JOB: Final = 'job=~"$job"'
EVERY: Final = "$__rate_interval"
NO_PROBES: Final = 'path!~"/|/metrics|/v2/health/.*|.*/ready"'


@dataclass(frozen=True, slots=True)
class Query:
    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """`unit` is Grafana's name of one; `about` is shown behind the title. `width` of 24."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    about: str = ""
    kind: Kind = "timeseries"
    width: int = 8
    stacked: bool = False


def _rate(metric: str, by: str, more: str = "", factor: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{JOB}{more}}}[{EVERY}])){factor}"


def _quantiles(metric: str, by: str, *shares: float) -> tuple[Query, ...]:
    names = ", ".join(f"{{{{{name}}}}}" for name in by.split(", "))
    return tuple(
        Query(
            f"histogram_quantile({share}, {_rate(f'{metric}_bucket', f'le, {by}')})",
            f"p{share * 100:g} {names}",
        )
        for share in shares
    )


def _share(part: str, whole: str) -> str:
    return f"{part} / {whole}"


TRAFFIC: Final = (
    Panel(
        "Decisions by route and reason",
        (Query(_rate("hem_decisions_total", "route, reason"), "{{route}}: {{reason}}"),),
        "reqps",
        "Why a request went where it went: algorithm, prefer, sticky, or the guard that decided.",
        stacked=True,
    ),
    Panel(
        "Share of the edge",
        (
            Query(
                _share(
                    f'sum(rate(hem_decisions_total{{{JOB},route="edge"}}[{EVERY}]))',
                    f"sum(rate(hem_decisions_total{{{JOB}}}[{EVERY}]))",
                ),
                "edge",
            ),
        ),
        "percentunit",
        "Of the requests that were decided, also of those that named their side (reason prefer).",
        kind="stat",
        width=4,
    ),
    Panel(
        "Requests by status",
        (
            Query(
                _rate("hem_http_requests_total", "path, status", f",{NO_PROBES}"),
                "{{path}} {{status}}",
            ),
        ),
        "reqps",
        "Of all servers, without probes. left: the client left before there was an answer.",
    ),
    Panel(
        "Under way",
        (
            Query(
                f"sum by (instance) (hem_http_requests_under_way{{{JOB}}})",
                "{{instance}}",
            ),
        ),
        about="POST requests that are being answered.",
        width=4,
    ),
)
TIMES: Final = (
    Panel(
        "Gateway: whole answer",
        _quantiles("hem_gateway_seconds", "route", 0.5, 0.95),
        "s",
        "From the request to the end of its answer.",
    ),
    Panel(
        "Gateway: first token",
        _quantiles("hem_gateway_first_token_seconds", "route", 0.5, 0.95),
        "s",
        "Of streams, mining included.",
    ),
    Panel(
        "Gateway: token to token",
        _quantiles("hem_gateway_inter_token_seconds", "route", 0.5, 0.95),
        "s",
        "Of streams: the mean of each answer.",
    ),
    Panel(
        "Predictors: whole answer",
        _quantiles("hem_answer_seconds", "model_name, route", 0.5, 0.95),
        "s",
        "Route cloud at the edge's model: it answered in the cloud's place.",
    ),
    Panel(
        "Predictors: first token",
        _quantiles("hem_answer_first_token_seconds", "model_name", 0.5, 0.95),
        "s",
    ),
    Panel(
        "Predictors: token to token",
        _quantiles("hem_answer_inter_token_seconds", "model_name", 0.5, 0.95),
        "s",
    ),
)
COST: Final = (
    Panel(
        "Cost an hour",
        (
            Query(
                _rate("hem_cost_total", "route, currency", factor=" * 3600"),
                "{{route}}, {{currency}}",
            ),
        ),
        about="By the price file of the gateway; drafts that were thrown away cost, too.",
        stacked=True,
    ),
    Panel(
        "Saved an hour",
        (Query(_rate("hem_saved_cost_total", "currency", factor=" * 3600"), "{{currency}}"),),
        about="What the edge's answers would have cost by the price of the cloud's model.",
    ),
    Panel(
        "Cost and saved, in all",
        (
            Query(f"sum by (currency) (hem_cost_total{{{JOB}}})", "cost, {{currency}}"),
            Query(f"sum by (currency) (hem_saved_cost_total{{{JOB}}})", "saved, {{currency}}"),
        ),
        about="Since the gateways started.",
        kind="stat",
    ),
    Panel(
        "Gateway: tokens",
        (Query(_rate("hem_tokens_total", "route, kind"), "{{route}}: {{kind}}"),),
        about="A second. Input without those in the server's cache.",
        stacked=True,
    ),
    Panel(
        "Predictors: tokens",
        (Query(_rate("hem_answer_tokens_total", "model_name, kind"), "{{model_name}}: {{kind}}"),),
        about="A second.",
        stacked=True,
    ),
    Panel(
        "Bytes over the WAN",
        (
            Query(
                _rate("hem_upstream_bytes_total", "upstream, direction"),
                "{{upstream}} {{direction}}",
            ),
        ),
        "Bps",
        "To and from each server that is called; an uplink's are those of the WAN.",
    ),
)
FAULTS: Final = (
    Panel(
        "Answers that were none",
        (
            Query(
                _rate("hem_answers_total", "model_name, outcome", ',outcome!="answered"'),
                "{{model_name}}: {{outcome}}",
            ),
        ),
        "reqps",
        "Of the predictors.",
    ),
    Panel(
        "Gateway: calls of models",
        (Query(_rate("hem_attempts_total", "route, outcome"), "{{route}}: {{outcome}}"),),
        "reqps",
    ),
    Panel(
        "Failed attempts",
        (Query(_rate("hem_upstream_failures_total", "upstream, kind"), "{{upstream}}: {{kind}}"),),
        "reqps",
        "At each server that is called, by cause.",
    ),
    Panel(
        "Attempts and retries",
        (
            Query(_rate("hem_upstream_attempts_total", "upstream"), "{{upstream}}"),
            Query(_rate("hem_upstream_retries_total", "upstream"), "{{upstream}}: again"),
        ),
        "reqps",
    ),
    Panel(
        "Circuit breakers",
        (Query(f"max by (upstream) (hem_upstream_breaker{{{JOB}}})", "{{upstream}}"),),
        about="0 closed, 1 half open, 2 open.",
        width=4,
    ),
    Panel(
        "Called servers that answer",
        (Query(f"min by (upstream) (hem_upstream_up{{{JOB}}})", "{{upstream}}"),),
        about="1: it answers; 0: it fails all calls.",
        width=4,
    ),
    Panel(
        "Queues",
        (
            Query(f"sum by (upstream) (hem_upstream_running{{{JOB}}})", "{{upstream}}: running"),
            Query(f"sum by (upstream) (hem_upstream_waiting{{{JOB}}})", "{{upstream}}: waiting"),
        ),
    ),
    Panel(
        "Refused without an attempt",
        (
            Query(
                _rate("hem_upstream_rejected_total", "upstream, reason"), "{{upstream}}: {{reason}}"
            ),
        ),
        "reqps",
        "As the breaker was open, or the queue full.",
    ),
)
MINING: Final = (
    Panel(
        "Scores",
        (Query(f"sum by (le) (increase(hem_score_bucket{{{JOB}}}[{EVERY}]))", "{{le}}"),),
        about="Difficulty of scored requests.",
        kind="heatmap",
    ),
    Panel(
        "Drift of scores",
        (Query(f"max by (algorithm) (hem_score_psi{{{JOB}}})", "{{algorithm}}"),),
        about="Population stability index; above 0.2 the queries have changed. Empty before 200 "
        "scores.",
    ),
    Panel(
        "Time to decide",
        _quantiles("hem_decision_seconds", "algorithm", 0.5, 0.99),
        "s",
    ),
)
CACHE: Final = (
    Panel(
        "Answers from the cache",
        (
            Query(
                _share(
                    _rate("hem_cache_queries_total", "model_name", ',result=~"hit|joined"'),
                    _rate("hem_cache_queries_total", "model_name"),
                ),
                "{{model_name}}",
            ),
        ),
        "percentunit",
    ),
    Panel(
        "Cache: answers kept",
        (Query(f"sum by (model_name) (hem_cache_entries{{{JOB}}})", "{{model_name}}"),),
        width=8,
    ),
    Panel(
        "Cache: bytes",
        (Query(f"sum by (model_name) (hem_cache_bytes{{{JOB}}})", "{{model_name}}"),),
        "bytes",
    ),
)
GUARDS: Final = (
    Panel(
        "Budget left",
        (Query(f"min by (unit) (hem_budget_left{{{JOB}}})", "{{unit}}"),),
        about="Of BudgetGuard, in its window. At 0 the edge answers.",
    ),
    Panel(
        "Stopped on the way to the cloud",
        (Query(_rate("hem_guard_refusals_total", "guard"), "{{guard}}"),),
        "reqps",
        "By guards that count, as a budget or a rate. What others decide is among the decisions.",
    ),
    Panel(
        "Callers of the gateway",
        (Query(_rate("hem_caller_requests_total", "caller, outcome"), "{{caller}}: {{outcome}}"),),
        "reqps",
        "By their names among the tokens.",
    ),
    Panel(
        "Changes taken up and refused",
        (
            Query(
                f"sum by (what, outcome) (increase(hem_reload_total{{{JOB}}}[{EVERY}]))",
                "{{what}}: {{outcome}}",
            ),
        ),
        about="Of settings, router, guards, prices and tokens, while servers run.",
        width=24,
    ),
)
PRIVACY: Final = (
    Panel(
        "Kept at the edge as private",
        (Query(_rate("hem_private_total", "found"), "{{found}}"),),
        "reqps",
        "By what was found; error, timeout, too_long, unreadable: it could not be looked through.",
    ),
    Panel(
        "Items that left as placeholders",
        (Query(_rate("hem_redacted_total", "kind"), "{{kind}}"),),
        about="A second, by kind, where PrivacyGuard redacts.",
        width=16,
    ),
    Panel(
        "Lines of the egress ledger",
        (Query(f"max by (ledger) (hem_ledger_head_number{{{JOB}}})", "{{ledger}}"),),
        "none",
        about="It only grows. `hem ledger verify` proves the file against number and hash.",
    ),
    Panel(
        "Head of the egress ledger",
        (Query(f"max by (ledger) (hem_ledger_head_hash{{{JOB}}})", "{{ledger}}"),),
        "none",
        about="The first 48 bits of its hash.",
        kind="stat",
    ),
)
LEARNING: Final = (
    Panel(
        "Quality loss: live and promised",
        (
            Query(f"max(hem_live_quality_loss{{{JOB}}})", "live"),
            Query(f"min(hem_live_quality_loss_low{{{JOB}}})", "live, at least"),
            Query(f"max(hem_live_quality_loss_high{{{JOB}}})", "live, at most"),
            Query(f"min(hem_promised_quality_loss{{{JOB}}})", "promised, at most"),
        ),
        "none",
        "Against the cloud alone, of the version in force. Live: of shadow pairs, by the last "
        "hem retrain --check; empty before one. Where nothing is promised nothing is watched.",
    ),
    Panel(
        "Promise kept",
        (Query(f"min(hem_promise_kept{{{JOB}}})", "1: kept, 0: broken"),),
        "none",
        "By the last check. 0 also where the version before has taken its place.",
        kind="stat",
        width=4,
    ),
    Panel(
        "Router versions in force",
        (Query(f"max by (instance) (hem_router_version{{{JOB}}})", "{{instance}}"),),
        "none",
        "A step up is a promotion, a step down a rollback.",
    ),
    Panel(
        "Checked, retrained",
        (
            Query(
                f"time() - max(hem_promise_checked_timestamp_seconds{{{JOB}}})", "since the check"
            ),
            Query(f"time() - max(hem_retrain_timestamp_seconds{{{JOB}}})", "since the retraining"),
        ),
        "s",
        "How long ago.",
        kind="stat",
        width=4,
    ),
    Panel(
        "Feedback",
        (Query(_rate("hem_feedback_total", "source, state"), "{{source}}: {{state}}"),),
        "reqps",
        "That is kept, by who says it.",
    ),
    Panel(
        "Shadow pairs",
        (Query(_rate("hem_feedback_shadow_total", "outcome"), "{{outcome}}"),),
        "reqps",
        "Answers that are compared with the other side's: scored, or why not.",
    ),
    Panel(
        "Noticed by HEM",
        (Query(_rate("hem_feedback_signals_total", "signal"), "{{signal}}"),),
        "reqps",
        "Retries, re-asks, and answers of the cloud that were the same.",
    ),
    Panel(
        "Decisions for the store",
        (Query(_rate("hem_feedback_decisions_total", "outcome"), "{{outcome}}"),),
        "reqps",
        "dropped: the store could not be written for too long.",
    ),
    Panel(
        "Labels of the last retraining",
        (Query(f"max by (kind) (hem_retrain_rows{{{JOB}}})", "{{kind}}"),),
        about="Rows by where they come from: base data, shadow pairs, users' feedback (explicit).",
        kind="bargauge",
    ),
    Panel(
        "Store: time of a transaction",
        _quantiles("hem_feedback_commit_seconds", "instance", 0.5, 0.99),
        "s",
    ),
)
DRAFTS: Final = (
    Panel(
        "Drafted tokens that are taken",
        (
            Query(
                _share(
                    _rate("hem_speculative_tokens_total", "upstream", ',kind="accepted"'),
                    _rate("hem_speculative_tokens_total", "upstream", ',kind="drafted"'),
                ),
                "{{upstream}}",
            ),
        ),
        "percentunit",
        "Where the edge drafts and the cloud checks.",
    ),
    Panel(
        "Passes of the cloud a token",
        (
            Query(
                _share(
                    _rate("hem_speculative_passes_total", "upstream"),
                    _rate("hem_speculative_answer_tokens_total", "upstream", ',way="speculative"'),
                ),
                "{{upstream}}",
            ),
        ),
        "none",
        "1 is what the cloud's model takes alone.",
    ),
    Panel(
        "Answers by who gave them",
        (Query(_rate("hem_speculative_answers_total", "way"), "{{way}}"),),
        "reqps",
        "speculative: both; cloud, edge: that one alone.",
        stacked=True,
    ),
    Panel(
        "Rounds of drafts",
        (Query(_rate("hem_speculative_rounds_total", "upstream"), "{{upstream}}"),),
        "reqps",
        width=12,
    ),
    Panel(
        "Round trip of the link",
        (
            Query(
                f"max by (upstream) (hem_speculative_round_trip_seconds{{{JOB}}})", "{{upstream}}"
            ),
        ),
        "s",
        "Of late, without the cloud's computing.",
        width=12,
    ),
)
ROWS: Final[dict[str, tuple[Panel, ...]]] = {
    "Traffic": TRAFFIC,
    "Times": TIMES,
    "Cost, tokens, bytes": COST,
    "Faults": FAULTS,
    "Mining": MINING,
    "Learning from use": LEARNING,
    "Drafts for the cloud": DRAFTS,
    "Cache": CACHE,
    "Guards, callers, changes": GUARDS,
    "Privacy": PRIVACY,
}
