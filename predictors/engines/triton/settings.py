"""Where Triton is, which of its models answers, and how the connection is secured."""

import re
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from predictors.upstream.settings import UpstreamSettings

ADDRESS: Final = re.compile(
    r"(?:(?:grpcs?|https?)://)?(?:\[[\da-fA-F:.]+\]|[\w.-]+):(?P<port>\d{1,5})"
)
PORTS: Final = {"grpc": 8001, "http": 8000}  # tritonserver's own defaults


class TritonSettings(UpstreamSettings):
    url: str = Field(
        "",
        description="HOST:PORT of Triton, grpcs:// or https:// before it for TLS; "
        "127.0.0.1 with Triton's own port if empty",
    )
    upstream_model: str = Field(min_length=1, description="name of the model in Triton")
    model_version: str = Field("", description="version of it; Triton's choice if empty")
    transport: Literal["grpc", "http"] = Field(
        "grpc", description="grpc or http; decoupled models (Triton's vLLM) need grpc"
    )
    ready_when: Literal["model", "always"] = Field(
        "model",
        description="model: ready while Triton's model is; always: also without it, as an uplink",
    )
    prompt_template: str = Field(
        "",
        description="prompt of a text model, {query} in it; the query alone if empty. "
        "Triton's vLLM backend applies no chat template",
    )
    ca_bundle: str = Field("", description="PEM file to verify TLS with; well-known CAs if empty")
    client_cert: str = Field("", description="PEM file of the certificate to show to Triton")
    client_key: str = Field("", description="PEM file of its key")

    @field_validator("url")
    @classmethod
    def _host_and_port(cls, url: str) -> str:
        match = ADDRESS.fullmatch(url)
        if not url or (match and 0 < int(match["port"]) < 65536):
            return url
        raise ValueError("must be HOST:PORT, or grpc://, grpcs://, http:// or https://HOST:PORT")

    @field_validator("prompt_template")
    @classmethod
    def _has_query(cls, template: str) -> str:
        if template and "{query}" not in template:
            raise ValueError("must contain {query}")
        return template

    @model_validator(mode="after")
    def _one_transport(self) -> Self:
        if self.url.startswith(("grpc://", "grpcs://")) and self.transport == "http":
            raise ValueError(f"url {self.url!r} is not one for transport http")
        if bool(self.client_cert) != bool(self.client_key):
            raise ValueError("client_cert and client_key belong together")
        if not self.secure and (self.ca_bundle or self.client_cert):
            raise ValueError(f"TLS files need a url with grpcs:// or https://, not {self.url!r}")
        return self

    @property
    def secure(self) -> bool:
        return self.url.startswith(("grpcs://", "https://"))

    @property
    def location(self) -> str:
        """Triton's URL, with the scheme of the transport: grpc, grpcs, http or https."""
        address = self.url.rpartition("://")[2] or f"127.0.0.1:{PORTS[self.transport]}"
        return f"{self.transport}{'s' if self.secure else ''}://{address}"
