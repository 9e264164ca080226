"""What the egress ledger says of a round, beside what it says of every call."""

from typing import Any

from predictors.contract.speculation import Round, Verdict
from predictors.contract.usage import Usage
from predictors.upstream.ledger.sent import used


def sent_with(round: Round, tokens: int) -> dict[str, Any]:
    """Fields of the line that is written before it leaves. `tokens`: how many it tells, as numbers;
    `sequence`: all rounds of an answer have the same."""
    return {"sequence": round.id, "tokens": tokens, "drafted": len(round.draft)}


def came_back(model: str, tokens: int, verdict: Verdict, counted: Usage | None = None) -> Verdict:
    """For the line behind it: the model that checked, the tokens that it was told, and those that
    the verdict has, the drafted ones that it takes and its own; or as its server has `counted`."""
    usage = counted or Usage(prompt_tokens=tokens, completion_tokens=len(verdict.tokens))
    used(model, usage.prompt_tokens, usage.completion_tokens)
    return verdict
