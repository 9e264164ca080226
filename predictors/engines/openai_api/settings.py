"""Where the endpoint is, and in what its dialect differs from OpenAI's."""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr

from predictors.errors import ConfigurationError
from predictors.upstream.http import HTTPURL, HTTPUpstreamSettings

NONE: Final = "none"


class OpenAIAPISettings(HTTPUpstreamSettings):
    url: HTTPURL = Field("http://127.0.0.1:8000/v1", description="base URL, as OpenAI's own /v1")
    upstream_model: str = Field(
        "", description="name of the model there; the one that it lists if empty"
    )
    api: Literal["chat", "completions"] = Field(
        "chat", description="chat: the server applies the chat template; completions: raw text"
    )
    api_key: SecretStr | None = Field(
        None, description="sent as a bearer token; better by environment or --api_key_file"
    )
    api_key_file: str = Field("", description="file that holds the key, such as a mounted Secret")
    max_tokens_field: str = Field(
        "max_tokens", description="newer models of OpenAI take max_completion_tokens"
    )
    repetition_penalty_field: str = Field(
        "repetition_penalty",
        description="repeat_penalty for llama.cpp, none for OpenAI and Ollama, which have none",
    )
    top_logprobs: int = Field(
        2, ge=0, le=20, description="alternatives to ask for per token; 0: no log-probabilities"
    )
    stream: bool = Field(False, description="stream the answer, to tell its latencies")
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
            raise ConfigurationError(f"--{option} holds what is no key: blanks or other characters")
        return key


def _read(path: str) -> str:
    try:
        key = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--api_key_file {path!r}: {error}") from None
    if not key.strip():
        raise ConfigurationError(f"--api_key_file {path!r} is empty")
    return key
