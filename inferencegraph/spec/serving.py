"""How much, how many and where: resources, replicas, nodes, images, time limits."""

from typing import Annotated, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from inferencegraph.spec.fields import FromList, Part, Quantity, by_name


class Amounts(Part):
    """Kubernetes quantities. gpus: of `accelerator` of the worker."""

    cpu: Quantity | None = None
    memory: Quantity | None = None
    gpus: int | None = Field(default=None, ge=0)


class Resource(Part):
    """What a worker's model asks for and may use; one where the other is absent."""

    requests: Amounts = Amounts()
    limits: Amounts = Amounts()
    accelerator: str = Field(default="nvidia.com/gpu", description="the resource that gpus counts")


class Sampling(Part):
    """How the model generates where a request leaves it open; the V2 contract's names."""

    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    repetition_penalty: float | None = Field(default=None, gt=0)
    stop: Annotated[tuple[str, ...], FromList] | None = None
    seed: int | None = None


class Node(Part):
    """One edge node, and so one site: by the name that Kubernetes knows it by, or by labels."""

    name: str = Field(min_length=1, description="of the site; of the node where labels are absent")
    labels: dict[str, str] | None = Field(default=None, min_length=1)


NamedNode = Annotated[Node, BeforeValidator(by_name, json_schema_input_type=str | Node)]
Nodes = Annotated[tuple[NamedNode, ...], FromList]


class Toleration(Part):
    key: str | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class Autoscaling(Part):
    """Between `minReplicas` and `maxReplicas`, by KServe's autoscaler of that class."""

    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(ge=1)
    autoscaler_class: Literal["hpa", "keda"] = Field(
        default="hpa",
        validation_alias=AliasChoices("class", "autoscaler_class"),
        serialization_alias="class",
    )
    metric: Literal["cpu", "memory"] = "cpu"
    target: int = Field(default=80, ge=1, le=100, description="percent of the request")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"minReplicas {self.min_replicas} is above maxReplicas {self.max_replicas}"
            )
        return self


class Claim(Part):
    """A PersistentVolumeClaim that is made for the model's `pvc://` source. ReadWriteMany or
    ReadOnlyMany: pods on several nodes read it."""

    size: Quantity
    access_mode: Literal["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"] = "ReadWriteOnce"
    storage_class: str | None = None


class ServiceAccount(Part):
    """The account that a model's pods run as, whose credentials KServe fetches the model with.
    create: it is made, with `annotations` (a cloud's IAM) and `secrets` (of stores); otherwise it
    is there already."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)
    create: bool = False
    annotations: dict[str, str] = Field(default_factory=dict)
    secrets: Annotated[tuple[str, ...], FromList] = ()

    @model_validator(mode="after")
    def _of_one_that_is_made(self) -> Self:
        if not self.create and (self.annotations or self.secrets):
            raise ValueError("has annotations or secrets, which need create: true")
        return self


NamedAccount = Annotated[
    ServiceAccount, BeforeValidator(by_name, json_schema_input_type=str | ServiceAccount)
]


class ImageMap(Part):
    """A ConfigMap with the images of engines by their names, as the owner's document has it. It is
    read from beside the spec; create: it is made instead, of the images in use."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)
    create: bool = False


NamedImageMap = Annotated[ImageMap, BeforeValidator(by_name, json_schema_input_type=str | ImageMap)]


class ImageSettings(Part):
    """`registry` and `tag`: of all images of ours. `names`: whole names, by an image's or an
    engine's name, which win over those of `config_map`."""

    registry: str | None = Field(default=None, min_length=1)
    tag: str | None = Field(default=None, min_length=1)
    pull_secret: str | None = Field(default=None, min_length=1)
    config_map: NamedImageMap | None = None
    names: dict[str, str] = Field(default_factory=dict)


class Uplink(Part):
    """How many calls each uplink has at the cloud at once, and how many wait for a place there;
    what is beyond both is the edge's at once."""

    max_concurrency: int | None = Field(default=None, ge=1)
    max_queue: int | None = Field(default=None, ge=0)


class TimeLimits(Part):
    """Seconds; see `inferencegraph.build.sites.Timeouts`."""

    cloud_connect: float | None = Field(default=None, gt=0)
    cloud: float | None = Field(default=None, gt=0)
    edge: int | None = Field(default=None, gt=0)
    service_client: int | None = Field(default=None, gt=0)
