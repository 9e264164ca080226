"""Where a model comes from."""

from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator

from inferencegraph.spec.fields import FromList, Part

SOURCES: Final = ("storageUri", "hub", "file", "image", "url", "llmInferenceService")
# What KServe's storage initializer fetches or mounts.
SCHEMES: Final = ("hf://", "pvc://", "s3://", "gs://", "oci://", "https://", "http://", "file://")
# What comes with the project, or in a Python package.
SHIPPED: Final = ("embedded:", "digits:", "package:")
# The query-routing document's defaults, where a worker has no model.
EDGE_DEFAULT: Final = "Qwen/Qwen2-1.5B-Instruct"
CLOUD_DEFAULT: Final = "gpt-4o-mini"
CLOUD_DEFAULT_URL: Final = "https://api.openai.com/v1"


class SecretKey(Part):
    """A key in a Secret that is there already."""

    name: str = Field(min_length=1)
    key: str = Field(default="key", min_length=1)


DEFAULT_SECRET: Final = SecretKey(name="kserve-hem-cloud-key", key="key")


class LLMServiceReached(Part):
    """How an LLMInferenceService of KServe's is asked."""

    gateway: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="base URL of KServe's gateway, in front of its scheduler; its own Service "
        "if absent",
    )


class LLMServiceName(LLMServiceReached):
    """One that is there already; `namespace`: the spec's own if absent."""

    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    namespace: str | None = Field(default=None, min_length=1)


class ModelSource(Part):
    """One model, by one of its sources. `name`: what the model is called where it is served; for
    an API or a Triton repository, the model there."""

    name: str | None = Field(default=None, min_length=1, description="what the model is called")
    storage_uri: str | None = Field(
        default=None,
        description="KServe fetches or mounts it: hf://, pvc://, s3://, gs://, oci://, https://",
    )
    hub: str | None = Field(
        default=None, min_length=1, description="id on the Hugging Face hub, ORG/MODEL"
    )
    file: str | None = Field(
        default=None,
        min_length=1,
        description="a file or folder of the image, or of this machine for hem up; a relative path "
        "begins at the spec's folder; embedded:edge, digits:edge and package:NAME are shipped or "
        "installed ones",
    )
    image: str | None = Field(
        default=None, min_length=1, description="an image that serves it, with the model in it"
    )
    command: Annotated[tuple[str, ...], FromList] = Field(
        default=(),
        description="of the image, in deploymentMode sdk: a V2 server of your own, which is given "
        "--model_name",
    )
    url: str | None = Field(
        default=None,
        description="base URL of a server that has it: an OpenAI-compatible API, Triton, V2",
    )
    llm_inference_service: LLMServiceName | None = Field(
        default=None,
        description="of a cloudWorker: an LLMInferenceService that is there already, by its name",
    )
    secret: SecretKey | None = Field(
        default=None,
        description="the key of the API at url; without one it is called without a key",
    )

    @field_validator("storage_uri")
    @classmethod
    def _known_scheme(cls, uri: str | None) -> str | None:
        if uri is not None and not uri.startswith(SCHEMES):
            raise ValueError(f"must begin with one of {', '.join(SCHEMES)}")
        return uri

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = self.sources
        if len(given) > 1:
            raise ValueError(f"has {' and '.join(given)}; a model has one source")
        if self.command and not self.image:
            raise ValueError("has a command, but no image that it would be run in")
        if self.secret and not (self.url or self.llm_inference_service):
            raise ValueError("has a secret, but no url of an API that it would open")
        return self

    @property
    def sources(self) -> list[str]:
        """The fields that say where it comes from: one, or none where only its name is known."""
        by_name = {
            "storageUri": self.storage_uri,
            "hub": self.hub,
            "file": self.file,
            "image": self.image,
            "url": self.url,
            "llmInferenceService": self.llm_inference_service,
        }
        return [name for name, value in by_name.items() if value is not None]
