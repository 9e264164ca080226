"""Hard-example mining, and the gateway that mines streams."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from inferencegraph.spec.fields import FromList, Part, by_name
from inferencegraph.spec.serving import Resource

MiningMode = Literal["mining-then-inference", "inference-then-mining", "self-design"]
Scalar = str | int | float | bool


class Parameter(Part):
    """As the documents write it: by `name` or by `key`."""

    name: str | None = None
    key: str | None = None
    value: Scalar = ""

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if (self.name is None) == (self.key is None):
            raise ValueError("needs either name or key")
        return self

    @property
    def called(self) -> str:
        return self.name or self.key or ""


Parameters = Annotated[tuple[Parameter, ...], FromList]


class Guard(Part):
    name: str
    parameters: Parameters = ()


# Where HEM has its own: the user's ConfigMap, the callers' keys, and what it writes.
_MOUNTED: Final = ("/etc/hem/files", "/etc/hem/keys", "/tmp")


class Volume(Part):
    """Files that HEM reads or keeps, such as those of guards, at `mount_path`: of one source."""

    mount_path: str = Field(pattern="^/[^:]*$")
    claim: str | None = Field(default=None, min_length=1, description="a PersistentVolumeClaim")
    host_path: str | None = Field(default=None, pattern="^/", description="a folder of the node")
    config_map: str | None = Field(default=None, min_length=1)
    secret: str | None = Field(default=None, min_length=1)
    read_only: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = (self.claim, self.host_path, self.config_map, self.secret)
        if sum(source is not None for source in sources) != 1:
            raise ValueError("needs one of claim, hostPath, configMap and secret")
        return self

    def source(self) -> dict[str, Any]:
        """As a pod has it. Maps and Secrets may come later, as a switch of maintenance does."""
        if self.claim is not None:
            return {"persistentVolumeClaim": {"claimName": self.claim}}
        if self.host_path is not None:
            return {"hostPath": {"path": self.host_path, "type": "Directory"}}
        if self.config_map is not None:
            return {"configMap": {"name": self.config_map, "optional": True}}
        return {"secret": {"secretName": self.secret, "optional": True}}


class Promise(Part):
    """What the threshold has to keep: what `hem calibrate` promised of the router, by the same
    names."""

    edge_ratio: float | None = Field(default=None, ge=0, le=1)
    max_quality_loss: float | None = Field(default=None, ge=0, le=1)
    confidence: float | None = Field(default=None, gt=0, lt=1)

    @model_validator(mode="after")
    def _one_promise(self) -> Self:
        if (self.edge_ratio is None) == (self.max_quality_loss is None):
            raise ValueError("needs either edgeRatio or maxQualityLoss")
        return self


class Strategy(Part):
    """How both models make one answer together, in the mode self-design."""

    name: str = Field(min_length=1, description="of the strategy, or package.module:Class")
    parameters: Parameters = ()
    source: str | None = Field(
        default=None,
        min_length=1,
        description="FILE.py with a strategy of your own; name: its class",
    )


NamedStrategy = Annotated[Strategy, BeforeValidator(by_name, json_schema_input_type=str | Strategy)]


class HardExampleMining(Part):
    """Which queries go to the cloud. `placement`: HEM as a component of its own (query stage: an
    InferenceService; answer stage: the edge model's transformer) or as a sidecar in the edge
    model's pod."""

    name: str | None = Field(default=None, min_length=1, description="of the algorithm")
    parameters: Parameters = ()
    mining_mode: MiningMode | None = Field(default=None, description="default: the algorithm's own")
    strategy: NamedStrategy | None = Field(
        default=None, description="of miningMode self-design: refine, speculative, or your own"
    )
    router: str | None = Field(
        default=None,
        min_length=1,
        description="a trained router: embedded:NAME, a folder, or a storageUri",
    )
    threshold: float | None = Field(default=None, ge=0, le=1)
    promise: Promise | None = None
    guards: Annotated[tuple[Guard, ...], FromList] = ()
    volumes: Annotated[tuple[Volume, ...], FromList] = ()
    batch_policy: Literal["any", "majority", "all"] | None = None
    source: str | None = Field(
        default=None,
        min_length=1,
        description="FILE.py with an algorithm of your own; name: its class",
    )
    config_map: str | None = Field(
        default=None,
        min_length=1,
        description="ConfigMap whose files HEM has in /etc/hem/files, as they are now",
    )
    placement: Literal["component", "sidecar"] = "component"
    resource: Resource | None = None

    @model_validator(mode="after")
    def _either_threshold_or_promise(self) -> Self:
        if self.threshold is not None and self.promise is not None:
            raise ValueError("has threshold and promise; the promise sets the threshold")
        return self

    @model_validator(mode="after")
    def _strategy_is_of_its_mode(self) -> Self:
        designs = self.mining_mode == "self-design"
        if designs and self.strategy is None:
            raise ValueError("has miningMode self-design, which needs a strategy, such as refine")
        if self.strategy is not None and not designs:
            raise ValueError("has a strategy, which needs miningMode: self-design")
        return self

    @model_validator(mode="after")
    def _mounts_are_apart(self) -> Self:
        taken = set(_MOUNTED)
        for volume in self.volumes:
            if (path := volume.mount_path.rstrip("/")) in taken:
                raise ValueError(f"something else is mounted at {path}: give another mountPath")
            taken.add(path)
        return self


class Gateway(Part):
    """OpenAI's API in front of the site. `settings`: further settings of HEM's gateway by their
    names without HEM_, such as `hedge_percentile`."""

    enabled: bool = True
    keys_secret: str | None = Field(
        default=None, min_length=1, description="Secret with the file `keys`"
    )
    sticky: Literal["off", "header", "user", "first_turns", "session"] | None = None
    on_break: Literal["error", "continue"] | None = None
    retries: int | None = Field(default=None, ge=0)
    settings: dict[str, Scalar] = Field(default_factory=dict)

    def environment(self) -> dict[str, Any]:
        """HEM_* for what is set."""
        own = {"sticky": self.sticky, "on_break": self.on_break, "retries": self.retries}
        chosen = {**self.settings, **own}
        return {f"HEM_{k.upper()}": _text(v) for k, v in chosen.items() if v is not None}


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
