"""What a site is made from, as values: its models, how it mines, its cloud, its time limits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from inferencegraph.build.engine_file import EngineFile
from inferencegraph.build.pods import ANY_EDGE_NODE, EdgeNode, Images, Resources
from predictors.contract import Sampling
from predictors.contract.query import CONTRACT_SAMPLING
from predictors.errors import ConfigurationError
from predictors.upstream.limits import longest_call
from predictors.upstream.redaction import shown_url

DEFAULT_IMAGES: Final = Images()
UPLINK_RESOURCES: Final = Resources(cpu="250m", memory="512Mi")
DEFAULT_START_SECONDS: Final = 600
LIGHT_START_SECONDS: Final = 120  # for what loads no model


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, from the inside out; each has to outlast the one before it.

    cloud: the uplink's limit on one call, once it has a place; before that it waits for a place
    for at most a quarter as long. edge: HEM's limit on the edge model, where HEM stands in front
    of it. service_client: the router's limit on one step; when it ends first, the graph answers
    500 instead of the uplink's error body, and nothing degrades.
    """

    cloud_connect: float = 2.0
    cloud: float = 120.0
    edge: int = 120
    service_client: int = 180

    def __post_init__(self) -> None:
        in_order = 0 < self.cloud_connect <= self.cloud
        in_order = in_order and longest_call(self.cloud) < self.service_client
        if not in_order or not 0 < self.edge < self.service_client:
            raise ConfigurationError(
                "timeouts need 0 < cloud_connect <= cloud < service_client, by a quarter of cloud "
                f"at least, and 0 < edge < service_client, got {self}"
            )

    @property
    def server_write(self) -> int:
        """The router's limit on a whole query, which passes at most three steps (its own default
        of 60 s drops the connection of a slow answer)."""
        return 3 * self.service_client


DEFAULT_TIMEOUTS: Final = Timeouts()


@dataclass(frozen=True, slots=True)
class Places:
    """An uplink's calls at once, and those that may wait; None: the predictor's own default."""

    max_concurrency: int | None = None
    max_queue: int | None = None

    def environment(self) -> dict[str, str]:
        values = {
            "PREDICTOR_MAX_CONCURRENCY": self.max_concurrency,
            "PREDICTOR_MAX_QUEUE": self.max_queue,
        }
        return {name: str(value) for name, value in values.items() if value is not None}


DEFAULT_PLACES: Final = Places()


@dataclass(frozen=True, slots=True)
class Scale:
    """How many pods. autoscaler: KServe's class, which stays between the two by `metric`, at
    `target` percent of its request; None: `minimum`, and no more."""

    minimum: int = 1
    maximum: int = 1
    autoscaler: str | None = None
    metric: str = "cpu"
    target: int = 80


@dataclass(frozen=True, slots=True)
class Running:
    """How a side's pods run beside what is in them: nodeSelector and tolerations (the edge's are
    its node's), and the service account, whose credentials KServe fetches the model with."""

    scale: Scale = field(default_factory=Scale)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    service_account: str | None = None

    def manifest(self) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if self.node_selector:
            fields["nodeSelector"] = dict(self.node_selector)
        if self.tolerations:
            fields["tolerations"] = [dict(each) for each in self.tolerations]
        if self.service_account:
            fields["serviceAccountName"] = self.service_account
        return fields


@dataclass(frozen=True, slots=True)
class Model:
    """One model and the engine that serves it: `engine` alone chooses, whichever it is.

    directory: `--model_dir` (a path, a hub id, `embedded:edge`). storage_uri: fetched by KServe
    to /mnt/models, which is then the directory. arguments: the engine's own options, as they stand
    after `python -m predictors`. resources, start_seconds: of the container that loads the model,
    and how long it may take.

    An engine that asks a server gets one in its pod. server_arguments, server_environment: that
    server's own options.
    config: more options of what loads the model, from a file; arguments win.
    url: asks the server there instead, which has the model under the name that `directory` says
    (None: as the engine finds it). image: in place of the engine's own, with the model in it, there
    under the name that `directory` says. command: the V2 server of that image that is started
    instead of an engine; it gets `--model_name`, and a site's pod may add `--http_port` and
    `--grpc_port`.
    """

    resources: Resources
    directory: str | None = None
    storage_uri: str | None = None
    engine: str = "huggingface"
    arguments: tuple[str, ...] = ()
    sampling: Sampling = CONTRACT_SAMPLING
    start_seconds: int = DEFAULT_START_SECONDS
    url: str | None = None
    server_arguments: tuple[str, ...] = ()
    server_environment: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    command: tuple[str, ...] = ()
    running: Running = field(default_factory=Running)
    config: EngineFile | None = None

    def __post_init__(self) -> None:
        if self.url is not None:
            for name in ("storage_uri", "server_arguments", "server_environment"):
                if value := getattr(self, name):
                    raise ConfigurationError(
                        f"the server at url {shown_url(self.url)!r} has its model already; "
                        f"remove {name} {value!r}"
                    )
        elif self.image is None and (self.directory is None) == (self.storage_uri is None):
            raise ConfigurationError(
                "a model has either a directory or a storage_uri, got "
                f"directory={self.directory!r} and storage_uri={self.storage_uri!r}"
            )

    def environment(self) -> dict[str, str]:
        values = sampling_environment(self.sampling)
        values["OMP_NUM_THREADS"] = str(self.resources.threads)
        if self.storage_uri is not None:
            values["STORAGE_URI"] = self.storage_uri
        return values


@dataclass(frozen=True, slots=True)
class CloudAddress:
    """The cloud as an uplink sees it: a V2 server's base URL and the model there.

    sampling: for what a request leaves open. The uplink forwards it, so it is the cloud model's.
    """

    url: str
    model: str
    sampling: Sampling = CONTRACT_SAMPLING


@dataclass(frozen=True, slots=True)
class CloudAPI:
    """A cloud that is an OpenAI-compatible API, or another server by its `engine`: its base URL,
    the model there, and the Secret whose `key` is the API's; without that Secret the uplink has no
    key. config: options of the engine, from a file."""

    url: str
    model: str
    secret: str | None
    sampling: Sampling = CONTRACT_SAMPLING
    engine: str = "openai_api"
    key: str = "key"
    arguments: tuple[str, ...] = ()
    config: EngineFile | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """One edge node's share: the names of its objects begin with `name`. owner: the spec that it
    was made from, where that is called otherwise."""

    name: str
    node: EdgeNode = ANY_EDGE_NODE
    images: Images = DEFAULT_IMAGES
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    owner: str | None = None
    places: Places = DEFAULT_PLACES


def predictor_url(service: str) -> str:
    """Where a pod of the same namespace reaches the predictor of InferenceService `service`.

    KServe in Standard mode makes a Service `<name>-predictor` whose port 80 is the container's
    8080 (`status.address.url` is its long form). Where an installation sets
    `serviceClusterIPNone`, the Service is headless and `:8080` belongs behind the name.
    """
    return f"http://{service}-predictor"


def sampling_environment(sampling: Sampling) -> dict[str, str]:
    """PREDICTOR_* for what differs from the contract's defaults."""
    values = {}
    for each in fields(sampling):
        name, value = each.name, getattr(sampling, each.name)
        if value != getattr(CONTRACT_SAMPLING, name):
            text = json.dumps(value) if isinstance(value, tuple) else str(value)
            values[f"PREDICTOR_{name.upper()}"] = f"{value:g}" if isinstance(value, float) else text
    return values
