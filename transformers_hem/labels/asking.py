"""Asks the edge and the cloud model: at two predictors, or through one graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from predictors.contract import (
    CLOUD,
    EDGE,
    HEM_PREFER,
    HEM_REASON,
    HEM_ROUTE,
    Answer,
    Scalar,
    parse_answers,
    text_request,
)
from predictors.errors import ConfigurationError, HEMError, UpstreamError, UpstreamUnavailable
from transformers_hem.labels.calls import Caller
from transformers_hem.labels.question import Side


class WrongModel(HEMError):
    """The graph answered, but not with the model that was asked for."""


@dataclass(frozen=True, slots=True)
class Models:
    """Where the two models are. `through_graph`: both URLs are one graph's, asked with
    hem_prefer. `parameters` are the V2 parameters of every request."""

    edge_url: str
    cloud_url: str
    through_graph: bool
    parameters: Mapping[str, Scalar]

    @classmethod
    def at(
        cls,
        edge: str | None,
        cloud: str | None,
        graph: str | None,
        parameters: Mapping[str, Scalar],
    ) -> "Models":
        """Raises ConfigurationError unless either both predictors or a graph are named."""
        if graph is not None and edge is None and cloud is None:
            url = _checked("--url", graph)
            return cls(url, url, True, parameters)
        if graph is not None or edge is None or cloud is None:
            raise ConfigurationError("give --edge and --cloud, or a graph's --url")
        if edge == cloud:
            raise ConfigurationError(
                f"--edge and --cloud are the same, {edge!r}; use a graph's --url"
            )
        return cls(_checked("--edge", edge), _checked("--cloud", cloud), False, parameters)

    def settings(self) -> dict[str, Any]:
        """What decides the answers."""
        if self.through_graph:
            return {"url": self.edge_url, "parameters": dict(self.parameters)}
        urls = {"edge": self.edge_url, "cloud": self.cloud_url}
        return {**urls, "parameters": dict(self.parameters)}

    async def ask(self, caller: Caller, side: Side, query: str, *, retry: bool = True) -> Answer:
        """Raises UpstreamError or one of its kinds; a degraded answer is a WrongModel."""
        url = self.edge_url if side == EDGE else self.cloud_url
        parameters = dict(self.parameters)
        if self.through_graph:
            parameters[HEM_PREFER] = side
        response = await caller.post(url, text_request([query], parameters), retry=retry)
        try:
            answers = parse_answers(response)
        except (ValueError, AttributeError, TypeError, KeyError) as error:
            raise UpstreamError(f"{url} answered 200 with {error}") from None
        if len(answers) != 1:
            raise UpstreamError(f"{url} gave {len(answers)} answers to one question")
        if self.through_graph:
            _require_route(response.get("parameters") or {}, side, url)
        return answers[0]


def require_two_models(edge: Answer, cloud: Answer) -> None:
    """Raises UpstreamUnavailable where a graph's degrade step let the edge answer for the cloud."""
    if edge.served_by == cloud.served_by:
        raise UpstreamUnavailable(f"{cloud.served_by!r} answered for the cloud: the graph degraded")


def _require_route(parameters: Mapping[str, Any], side: Side, url: str) -> None:
    """In the answer stage the cloud sees the client's own request: its answer tells no route."""
    route = parameters.get(HEM_ROUTE)
    if route == side or (route is None and side == CLOUD):
        return
    if route is None:
        raise UpstreamError(f"{url} answered without {HEM_ROUTE}; --url is for graphs")
    told = f"it went to {route!r}, reason {parameters.get(HEM_REASON)!r}"
    raise WrongModel(f"{url} was asked for the {side}'s answer, but {told}")


def _checked(option: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        example = "http://127.0.0.1:8080/v2/models/NAME/infer"
        raise ConfigurationError(f"{option} {url!r} is not a URL; e.g. {example}")
    return url
