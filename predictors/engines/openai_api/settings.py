"""Where the endpoint is, its key, and in what its dialect differs from OpenAI's."""

from pathlib import Path

from pydantic import Field, SecretStr

from predictors.errors import ConfigurationError
from predictors.upstream.openai.bodies import Dialect
from predictors.upstream.settings import HTTPURL, HTTPUpstreamSettings


class OpenAIAPISettings(Dialect, HTTPUpstreamSettings):
    url: HTTPURL = Field("http://127.0.0.1:8000/v1", description="base URL, as OpenAI's own /v1")
    upstream_model: str = Field(
        "", description="name of the model there; the one that it lists if empty"
    )
    api_key: SecretStr | None = Field(
        None, description="sent as a bearer token; better by environment or --api_key_file"
    )
    api_key_file: str = Field("", description="file that holds the key, such as a mounted Secret")
    extra_body: SecretStr | None = Field(
        None, description="JSON object of fields to add to each request; null takes one away"
    )

    def key(self) -> str:
        """Empty where there is none. Raises ConfigurationError, never with the key."""
        given = self.api_key.get_secret_value() if self.api_key else ""
        if given and self.api_key_file:
            raise ConfigurationError("give one of --api_key and --api_key_file")
        option = "api_key_file" if self.api_key_file else "api_key"
        key = (_read(self.api_key_file) if self.api_key_file else given).strip()
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ConfigurationError(
                f"--{option} holds what is not a key: blanks or other characters"
            )
        return key


def _read(path: str) -> str:
    try:
        key = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--api_key_file {path!r}: {error}") from None
    if not key.strip():
        raise ConfigurationError(f"--api_key_file {path!r} is empty")
    return key
