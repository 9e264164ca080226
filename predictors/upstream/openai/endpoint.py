"""Settings of an OpenAI-compatible endpoint, whoever asks it: its key, and names of fields."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr

from predictors.errors import ConfigurationError
from predictors.upstream.settings import Connection, http_url_with_parameters, json_object

AUTHORIZATION = "authorization"
KEY_HINT = "it refused the key; see --api_key, --api_key_file and --api_key_header"
PATHS = ("/chat/completions", "/completions")


class KeyHeader(Connection):
    """How a key is sent."""

    api_key_header: str = Field(
        AUTHORIZATION,
        description="header of the key: authorization sends it as a bearer token, api-key (Azure) "
        "and others as it is",
    )

    def headers_with(self, key: str) -> dict[str, str]:
        """Those of each call. Raises ConfigurationError, never with a value."""
        name = self.api_key_header.strip().lower()
        if not name or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise ConfigurationError(f"--api_key_header {name!r} is not the name of a header")
        sent = f"Bearer {key}" if name == AUTHORIZATION else key
        return {**({name: sent} if key else {}), **self.headers()}


class Endpoint(KeyHeader):
    max_tokens_field: str = Field(
        "",
        description="max_tokens, or max_completion_tokens as newer models of OpenAI take; by the "
        "model's name and by what the server says if empty",
    )
    extra_body: SecretStr | None = Field(
        None, description="JSON object of fields to add to each request; null takes one away"
    )

    def extra_fields(self) -> Mapping[str, Any]:
        """Raises ConfigurationError."""
        return json_object(self, "extra_body")


class Keyed(KeyHeader):
    """Which model is asked for, and by which key."""

    upstream_model: str = Field(
        "", description="name of the model there; the one that it lists if empty"
    )
    api_key: SecretStr | None = Field(
        None, description="the key; better by environment or --api_key_file"
    )
    api_key_file: str = Field("", description="file that holds the key, such as a mounted Secret")

    def key(self) -> str:
        """Empty where no key is set. Raises ConfigurationError, never with the key."""
        key = self.api_key.get_secret_value() if self.api_key else ""
        if key and self.api_key_file:
            raise ConfigurationError("give one of --api_key and --api_key_file")
        if self.api_key_file:
            return read_key(self.api_key_file, "--api_key_file")
        return check_key(key, "--api_key")


def base_url(url: str) -> str:
    """Of a base URL, or of the whole URL of an API, as Azure's portal shows it. Raises
    ValueError."""
    base, mark, parameters = http_url_with_parameters(url).partition("?")
    for path in PATHS:
        base = base.removesuffix(path)
    return base + mark + parameters


def check_key(key: str, option: str) -> str:
    """Without blanks around it. Raises ConfigurationError, never with the key."""
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(f"{option} holds what is not a key: blanks or other characters")
    return key


def read_key(path: str | Path, option: str) -> str:
    """The key in a file. Raises ConfigurationError."""
    try:
        key = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        why = error.strerror or error
        raise ConfigurationError(f"{option} {str(path)!r}: {why}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{option} {str(path)!r} is not UTF-8 text") from None
    if not key.strip():
        raise ConfigurationError(f"{option} {str(path)!r} is empty")
    return check_key(key, option)
