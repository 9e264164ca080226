"""`hem ask`."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from inferencegraph.commands.options import (
    DEFAULT_URL,
    AsJson,
    MaxTokens,
    RepetitionPenalty,
    Seed,
    Temperature,
    TopP,
    chosen,
)

if TYPE_CHECKING:
    from predictors.upstream.ask import Reply


def ask(
    query: Annotated[str, typer.Argument(help="The question.", show_default=False)],
    url: Annotated[
        str, typer.Option(help="A graph, or a predictor's /v2/models/NAME/infer.")
    ] = DEFAULT_URL,
    prefer: Annotated[
        Literal["edge", "cloud"] | None,
        typer.Option(help="Overrule mining and ask this side.", show_default=False),
    ] = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    repetition_penalty: RepetitionPenalty = None,
    seed: Seed = None,
    stop: Annotated[
        list[str] | None, typer.Option(help="Ends the answer; repeatable.", show_default=False)
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds.")] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Asks one question; prints the answer, who gave it and why.

    Example: `hem ask "What is 12 + 7?" --prefer cloud`
    """
    import asyncio

    parameters = chosen(
        hem_prefer=prefer,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
        stop=json.dumps(stop) if stop else None,
    )
    reply = asyncio.run(_ask(query, url, parameters, timeout))
    print(json.dumps(_facts(reply), ensure_ascii=False) if as_json else _text(reply))


async def _ask(query: str, url: str, parameters: dict[str, Any], timeout: float) -> "Reply":
    from inferencegraph.evaluate.hints import hint_where_nobody_listens
    from predictors.upstream.ask import ask as send, check_url
    from predictors.upstream.client import build_client

    check_url(url, "--url", DEFAULT_URL)
    async with build_client(timeout, connect=5.0) as client:
        with hint_where_nobody_listens():
            return await send(client, url, [query], parameters, timeout)


def _facts(reply: "Reply") -> dict[str, Any]:
    from predictors import contract

    answer = reply.answers[0]
    hem = contract.hem_parameters(reply.parameters)
    return {
        "answer": answer.text,
        "route": reply.route,
        "score": hem.get(contract.HEM_SCORE),
        "served_by": answer.served_by,
        "degraded": _degraded(reply),
        "seconds": round(reply.seconds, 4),
        "completion_tokens": answer.completion_tokens,
        "parameters": dict(reply.parameters),
        "request_id": reply.id,
    }


def _text(reply: "Reply") -> str:
    """The answer, then one line about it; what the server leaves out is left out."""
    from predictors import contract

    facts = _facts(reply)
    hem = reply.parameters
    about = []
    if facts["route"]:
        about.append(f"route {facts['route']} ({hem.get(contract.HEM_REASON, 'no reason')})")
    if facts["score"] is not None:
        threshold = hem.get(contract.HEM_THRESHOLD)
        beside = f", threshold {float(threshold):.2f}" if threshold is not None else ""
        about.append(f"score {float(facts['score']):.2f}{beside}")
    if hem.get(contract.HEM_ALGORITHM):
        about.append(str(hem[contract.HEM_ALGORITHM]))
    if hem.get(contract.HEM_STRATEGY) not in (None, hem.get(contract.HEM_ALGORITHM)):
        about.append(f"strategy {hem[contract.HEM_STRATEGY]}")
    if facts["served_by"]:
        about.append(f"served by {facts['served_by']}")
    about.append(f"{reply.seconds * 1000:.0f} ms")
    if reply.id:
        about.append(f"id {reply.id}")
    lines = [facts["answer"] or "(an empty answer)", f"  {' · '.join(about)}"]
    if hem.get(contract.names.SPECULATION):
        lines.append(f"  {_speculated(reply)}")
    return "\n".join([*lines, f"  degraded: {facts['degraded']}"] if facts["degraded"] else lines)


def _speculated(reply: "Reply") -> str:
    """How the answer came about, where the edge's model drafts for the cloud's."""
    from predictors.contract.names import SPECULATION, SPECULATION_REASON

    way, reason = reply.parameters[SPECULATION], reply.parameters.get(SPECULATION_REASON)
    about = [f"speculation: {way}{f' ({reason})' if reason else ''}"]
    if (told := reply.answers[0].speculation) is not None and told.draft_rounds:
        about += [
            f"{told.accepted_tokens} of {told.drafted_tokens} drafted tokens taken",
            f"{told.draft_rounds} rounds",
            f"{told.cloud_passes} passes of the cloud",
            f"{told.link_bytes_sent + told.link_bytes_received:,} bytes",
        ]
    return " \u00b7 ".join(about)


def _degraded(reply: "Reply") -> str | None:
    """What a person has to know of an answer that the edge gave in place of the cloud.

    The local router says why the cloud failed. KServe's says nothing; there the name of who
    answered tells, which is the site's with `-edge` behind it.
    """
    from inferencegraph.evaluate.hints import cloud_failed
    from predictors.contract import CLOUD, EDGE
    from predictors.contract.names import SPECULATION, SPECULATION_REASON

    if (way := reply.parameters.get(SPECULATION)) is not None:  # it says itself who answered
        alone = way == EDGE and reply.route == CLOUD
        return cloud_failed(str(reply.parameters.get(SPECULATION_REASON))) if alone else None
    served_by = str(reply.answers[0].served_by)
    if reply.failure or (reply.route == CLOUD and served_by.endswith("-edge")):
        return cloud_failed(reply.failure)
    return None
