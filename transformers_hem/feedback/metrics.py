"""What Prometheus sees of feedback. Registered where there is a store."""

from prometheus_client import Counter, Gauge, Histogram

FEEDBACK = Counter(
    "hem_feedback_total",
    "Feedback that is kept, by who says it and what became of it: new, duplicate, replaces.",
    ["source", "state"],
)
UNKNOWN = Counter(
    "hem_feedback_unknown_total", "Feedback for requests whose decision is not in the store yet."
)
REFUSED = Counter(
    "hem_feedback_refused_total",
    "Requests with feedback that were refused: invalid, denied, conflict, rate_limited, unusable, "
    "overloaded.",
    ["reason"],
)
DECISIONS = Counter(
    "hem_feedback_decisions_total",
    "Decisions for the store: kept, or dropped where it could not be written for too long.",
    ["outcome"],
)
COMMIT = Histogram(
    "hem_feedback_commit_seconds",
    "Time of one transaction of the store.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0),
)
UP = Gauge("hem_feedback_up", "1 where the store can be written, 0 where it can't.")
DELETED = Counter(
    "hem_feedback_deleted_total",
    "Rows that were deleted: too old, too many, or asked for.",
    ["why"],
)
SHADOW = Counter(
    "hem_feedback_shadow_total",
    "Answers that were drawn to be compared with the other side's: scored, kept (by a guard that "
    "counts), busy (the edge was), failed, left_out (too many waited).",
    ["outcome"],
)
SIGNALS = Counter(
    "hem_feedback_signals_total",
    "What happened and says something of an answer: retry, re_ask, same_answer.",
    ["signal"],
)
