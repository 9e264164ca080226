"""What the pods of a spec call that is not rendered with it, and who may call them."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from inferencegraph.build.llm_service import LLMService
from inferencegraph.build.mining import Mining
from inferencegraph.build.network_policies import Destination, Isolation
from inferencegraph.build.sites import CloudAPI
from inferencegraph.spec.faults import at
from inferencegraph.spec.operations import NetworkPolicies
from inferencegraph.spec.resolve.models import Served
from inferencegraph.spec.service import Spec
from inferencegraph.spec.sources import ModelSource
from predictors.contract import CLOUD, EDGE
from predictors.errors import ConfigurationError
from predictors.upstream.redaction import shown_url

_PORTS: Final = {"http": 80, "https": 443, "grpc": 80, "grpcs": 443}
# What KServe fetches at a start; an image (oci) is the kubelet's to pull, a claim is mounted.
_STORES: Final = ("hf://", "s3://", "gs://")
_HTTP: Final = ("http://", "https://")
_SERVICES: Final = (".svc", ".svc.cluster.local")


def isolation_of(
    spec: Spec,
    name: str,
    sources: Mapping[str, ModelSource],
    cloud: Served | None,
    mining: Mining | None,
) -> Isolation | None:
    """What the spec called `name` asks for; `sources`: by side, where the model comes from. Raises
    SpecFault."""
    part = spec.network_policies
    if part is None:
        return None
    with at("spec.edgeWorker.model"):
        small = _called(sources.get(EDGE), part)
    with at("spec.cloudWorker.model"):
        api = _api(cloud, f"{name}-cloud")
        large = (reached(api),) if api else _called(sources.get(CLOUD), part)
    far = api is not None and EDGE in sources
    joint = far and mining is not None and mining.joint
    return Isolation(
        part.callers,
        part.cloud_callers,
        part.prometheus,
        part.control_plane,
        edge=(*small, *large) if joint else small,
        mining=(*_of_router(mining, part), *_of_feedback(spec, part)),
        jobs=_of_store(spec, part),
        uplink=large if far and not joint else (),
        cloud=() if far else large,
    )


def _api(cloud: Served | None, name: str) -> str | None:
    """The URL of a cloud that is none of the pods with policies."""
    if isinstance(cloud, LLMService):
        return cloud.address(name).url
    return cloud.url if isinstance(cloud, CloudAPI) else None


def _called(source: ModelSource | None, part: NetworkPolicies) -> tuple[Destination, ...]:
    if source is None:
        return ()
    if source.url is not None:
        return (reached(source.url),)
    return fetched(source.storage_uri or "", part, hub=source.hub is not None)


def _of_router(mining: Mining | None, part: NetworkPolicies) -> tuple[Destination, ...]:
    """A router that KServe fetches, or an algorithm's `model` at the hub."""
    if mining is None:
        return ()
    model = str(mining.parameters.get("model", ""))
    is_hub = model.count("/") == 1 and not model.startswith(("/", "."))
    return fetched(mining.router or "", part, hub=is_hub)


def _of_feedback(spec: Spec, part: NetworkPolicies) -> tuple[Destination, ...]:
    """HEM's store, and the central server that a file is sent on to."""
    push = spec.feedback.push if spec.feedback else None
    if push is None:
        return _of_store(spec, part)
    with at("spec.feedback.push.url"):
        return (reached(push.url),)


def _of_store(spec: Spec, part: NetworkPolicies) -> tuple[Destination, ...]:
    """Its URL is in a Secret, which nothing here can read: so any address, on these ports."""
    if spec.feedback is None or spec.feedback.store.secret is None:
        return ()
    return tuple(Destination(port) for port in part.database_ports)


def fetched(uri: str, part: NetworkPolicies, *, hub: bool) -> tuple[Destination, ...]:
    """Where a pod fetches a model from at its start."""
    if uri.startswith(_HTTP):
        return (reached(uri),)
    if hub or uri.startswith(_STORES):
        return tuple(Destination(port) for port in part.download_ports)
    return ()


def reached(url: str) -> Destination:
    """A server at a URL. A Service's own port is not its pods', which policies are about: all ports
    of its namespace. Raises ConfigurationError."""
    parts = urlsplit(url if "://" in url else f"grpc://{url}")
    host = parts.hostname or ""
    for suffix in _SERVICES:
        if host.endswith(suffix) and host.removesuffix(suffix).count(".") == 1:
            return Destination(namespace=host.removesuffix(suffix).rpartition(".")[2])
    if "." not in host and ":" not in host:
        return Destination(namespace="")
    try:
        return Destination(parts.port or _PORTS.get(parts.scheme, 443))
    except ValueError as error:
        raise ConfigurationError(f"url {shown_url(url)!r}: {error}") from None
