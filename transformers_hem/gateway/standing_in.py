"""Whether the other side may answer where one fails, and what is said of that."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from predictors.contract import CLOUD, EDGE
from predictors.errors import (
    Cause,
    ContextTooLong,
    HEMError,
    InvalidRequest,
    Overloaded,
    UpstreamError,
)
from transformers_hem.algorithms.base import Route
from transformers_hem.gateway.chat import Chat
from transformers_hem.gateway.redacting import leaving_with
from transformers_hem.guards.admission import KeptAtEdge
from transformers_hem.serving.decision import Decider

# Reasons of decisions that the edge's answer made: it refused what the cloud may take, or failed.
EDGE_CANNOT: Final = "edge_cannot"
EDGE_FAILED: Final = "edge_failed"
BOTH: Final[tuple[Route, ...]] = (EDGE, CLOUD)
OTHER: Final[dict[Route, Route]] = {EDGE: CLOUD, CLOUD: EDGE}


def may_stand_in(decider: Decider, chat: Chat, route: Route) -> bool:
    """Whether the other side may answer where that one fails: it has not failed itself, and
    neither the caller nor a guard keeps the request here."""
    if chat.prefer is not None or chat.degraded:
        return False
    if chat.decision is not None and chat.decision.reason in (EDGE_CANNOT, EDGE_FAILED):
        return False
    if route == CLOUD:
        return True
    guarded = decider.overrule(chat.batch, None)
    return guarded is None or guarded.route == CLOUD


def is_private(decider: Decider, chat: Chat, rest: Mapping[str, Any]) -> bool:
    """Whether a guard of privacy keeps at the edge what there is of the answer, which would
    leave with the question."""
    leaving = leaving_with(chat, rest)
    return decider.is_private(replace(chat.batch, leaving=leaving))


def stands_in(decider: Decider, chat: Chat, route: Route, error: HEMError) -> bool:
    """Whether the other side may answer after this error. What one model can't take, because of
    its context or of a field, another one may: only privacy keeps that at the edge."""
    if isinstance(error, InvalidRequest):
        if route == EDGE:
            private = decider.is_private(chat.batch)
            return cannot(error) and chat.prefer is None and not private
        return cannot(error) and may_stand_in(decider, chat, route)
    if not isinstance(error, UpstreamError | Overloaded | KeptAtEdge):
        return False
    return may_stand_in(decider, chat, route)


def cannot(error: HEMError) -> bool:
    """Whether this model can't take what another one may."""
    told = getattr(error, "code", None) == "unsupported"
    return isinstance(error, ContextTooLong) or (isinstance(error, InvalidRequest) and told)


def forced(chat: Chat, error: HEMError) -> HEMError:
    """Who forces the edge learns that it is not there now, however that showed."""
    if chat.prefer == EDGE and isinstance(error, UpstreamError) and error.status > 500:
        error.status = 503
    return error


def slow(route: Route) -> UpstreamError:
    error = UpstreamError(f"the {route} is slower than usual", Cause.TIMEOUT)
    error.told = True
    return error


def why(failed: HEMError) -> str:
    """The cloud did not answer, in one word."""
    if isinstance(failed, InvalidRequest):
        return "cloud_cannot"
    if isinstance(failed, KeptAtEdge):
        return failed.guard
    return failed.short if isinstance(failed, UpstreamError) else "overloaded"
