"""What comes back from use: where it is kept, and the jobs that retrain the router on it."""

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from inferencegraph.check.batch import schedule_fault
from inferencegraph.spec.fields import FromList, Part, Quantity
from inferencegraph.spec.mining import Promise, Volume
from inferencegraph.spec.serving import Resource
from inferencegraph.spec.sources import SecretKey

AccessMode = Literal["ReadWriteOnce", "ReadWriteMany"]
OFF: Final = "off"


class StoreURL(SecretKey):
    """PostgreSQL's URL, in a Secret that is there already."""

    key: str = Field(default="url", min_length=1)


class Store(Part):
    """One of: PostgreSQL by its URL, or a folder with SQLite's file, which one HEM alone writes."""

    secret: StoreURL | None = None
    claim: str | None = Field(default=None, min_length=1, description="a PersistentVolumeClaim")
    host_path: str | None = Field(default=None, pattern="^/", description="a folder of each node")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        places = (self.secret, self.claim, self.host_path)
        if sum(place is not None for place in places) != 1:
            raise ValueError("needs one of secret, claim and hostPath")
        return self


class Push(Part):
    """A central HEM server, to which a file is sent on as soon as that can be reached; `secret`
    has the key of an admin there."""

    url: str = Field(pattern=r"^https?://\S+$")
    secret: SecretKey | None = None


class Feedback(Part):
    """What HEM keeps of its decisions, and of what is said of their answers. `shadow`: the share of
    the gateway's answers for which the other side is asked, too; `shadow_edge`: that of the cloud's
    answers, for which the edge is asked, where it is another. `per_minute`: most that one client
    may send."""

    store: Store
    text: bool | None = None
    days: float | None = Field(default=None, gt=0)
    rows: int | None = Field(default=None, ge=1)
    sync: Literal["normal", "full"] | None = None
    per_minute: int | None = Field(default=None, ge=0)
    shadow: float | None = Field(default=None, ge=0, lt=1)
    shadow_edge: float | None = Field(default=None, ge=0, lt=1)
    scorer: str | None = Field(default=None, min_length=1)
    push: Push | None = None


class VersionsVolume(Part):
    """Where the router's versions are: a claim that is made, or `claim`, which is there already.
    HEM's pods read it, on every node of a site, and the jobs write it."""

    claim: str | None = Field(default=None, min_length=1, description="one that is there")
    size: Quantity | None = None
    access_mode: AccessMode | None = None
    storage_class: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _there_or_made(self) -> Self:
        made = (self.size, self.storage_class)
        if self.claim is not None and any(each is not None for each in made):
            raise ValueError(
                "has a claim that is there, and size or storageClass of one that is "
                "made; write either"
            )
        return self


def _schedule(value: str) -> str:
    if fault := schedule_fault(value):
        raise ValueError(fault)
    return value


def _schedule_or_off(value: str) -> str:
    return value if value == OFF else _schedule(value)


class Retrain(Part):
    """The jobs that retrain the router, and check its promise. `promise`: what each new version has
    to keep; `data`: files with labelled rows, which `volumes` bring to the job; `own`: without what
    another client says of an answer than the one who asked."""

    schedule: Annotated[str, AfterValidator(_schedule)] = "15 3 * * *"
    check: Annotated[str, AfterValidator(_schedule_or_off)] = Field(
        default="*/5 * * * *", description="a schedule, or off"
    )
    promise: Promise = Promise(max_quality_loss=0.05)
    versions: VersionsVolume = VersionsVolume()
    data: Annotated[tuple[str, ...], FromList] = ()
    volumes: Annotated[tuple[Volume, ...], FromList] = ()
    own: bool = False
    limit: int | None = Field(default=None, ge=1, description="learn from so many rows")
    significance: float | None = Field(
        default=None, ge=0.01, le=0.5, description="of the proof that a version is better"
    )
    keep: int | None = Field(default=None, ge=1, description="versions to keep")
    resource: Resource | None = None
