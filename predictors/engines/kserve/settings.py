"""Where the far predictor is, and how it is asked."""

from pydantic import Field

from predictors.upstream.http import HTTPURL, HTTPUpstreamSettings


class KServeSettings(HTTPUpstreamSettings):
    url: HTTPURL = Field(description="base URL of the far predictor, http://host[:port]")
    upstream_model: str = Field(description="name of the model there")
    transport: str = Field("rest", description="rest, or grpc (https in the URL is TLS for both)")
