"""What limits a call to another server, and how it is secured: settings and plain values."""

import ssl
from collections.abc import Callable
from typing import Annotated, Any, Final

import httpx
import orjson
from pydantic import AfterValidator, BaseModel, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from predictors.errors import ConfigurationError
from predictors.settings import EngineSettings
from predictors.upstream.client import build_client, option_of, tls_context

# A server that is called itself has less memory than a client of one answer at a time.
SERVED_ANSWER_BYTES: Final = 16 * 1024 * 1024


class Limits(BaseModel):
    """Of the calls to one server. Engines have them among their settings (UpstreamSettings); a
    client of ours makes them itself: `Limits(timeout=5, retries=0, breaker_failures=0)`."""

    model_config = SettingsConfigDict(frozen=True)

    connect_timeout: float = Field(default=2.0, gt=0, description="seconds to open a connection")
    timeout: float = Field(
        default=120.0, gt=0, description="seconds for a call that has its place, retries included"
    )
    queue_timeout: float | None = Field(
        default=None,
        gt=0,
        description="seconds to wait for a place; a quarter of timeout if not given",
    )
    retries: int = Field(
        default=2, ge=0, description="attempts after the first, where another may help"
    )
    retry_seconds: float = Field(
        default=1.5,
        gt=0,
        description="seconds in which another attempt may begin; a Retry-After beyond them opens "
        "the breaker for as long, at most 60 s",
    )
    overdue_seconds: float = Field(
        default=0.5,
        gt=0,
        description="seconds without a byte after which the server's health is asked beside the "
        "call",
    )
    health_timeout: float = Field(
        default=1.5,
        ge=0,
        description="seconds in which it has to be told, or the server is given up; 0: never asked",
    )
    first_byte_timeout: float | None = Field(
        default=None,
        gt=0,
        description="seconds until a streamed answer begins; by what is usual if not given, at "
        "least three tenths of timeout",
    )
    between_bytes_timeout: float | None = Field(
        default=None,
        gt=0,
        description="seconds between two parts of a streamed answer; by what is usual if not "
        "given, at least a tenth of timeout",
    )
    min_bytes_per_second: float = Field(
        default=256.0,
        ge=0,
        description="rate of an answer, or of a stream's event, that has begun; 0: any",
    )
    max_concurrency: int = Field(
        default=256, ge=1, description="calls at once; more wait in a queue"
    )
    max_queue: int = Field(
        default=1024, ge=0, description="calls that may wait; more are refused with 503"
    )
    max_answer_bytes: int = Field(
        default=SERVED_ANSWER_BYTES,
        gt=0,
        lt=2**31,  # gRPC's options are integers of 32 bits
        description="largest answer in bytes, unpacked; above it: 502",
    )
    breaker_failures: int = Field(
        default=5,
        ge=0,
        description="failures in a row (unreachable, certificate, timeout, 5xx, 429, unusable) "
        "that open the breaker; 0: no breaker",
    )
    breaker_seconds: float = Field(
        default=10.0,
        gt=0,
        description="seconds an open breaker refuses calls before it lets one probe",
    )
    ledger: str = Field(
        default="",
        description="file of the egress ledger, to which each attempt is written before it leaves; "
        "{hostname} in it stands for the host's, for replicas; none if empty",
    )
    ledger_segment_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=4096,
        description="of the ledger; above it a segment is sealed, and another begins",
    )
    ledger_fsync_seconds: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="seconds after which the ledger's lines are forced to the disk, for power "
        "cuts; 0: the system does it when it likes",
    )
    ledger_key: str = Field(
        default="",
        description="PEM file of an Ed25519 private key that signs the ledger; none if empty",
    )


class UpstreamSettings(Limits, EngineSettings):
    """What every engine has that calls another server."""


def http_url(url: str) -> str:
    """A base URL without its last slash. Raises ValueError."""
    url = http_url_with_parameters(url)
    if "?" in url:
        raise ValueError("must be a base URL, without ? and #")
    return url


def http_url_with_parameters(url: str) -> str:
    """The same, but `?name=value` may stand behind it. Raises ValueError, without a password."""
    if "@" in url:
        raise ValueError("must not hold a password: give --extra_headers (an @ in a path is %40)")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"is not a URL: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("must be http://host[:port] or https://host[:port]")
    if "#" in url:
        raise ValueError("must be a base URL, without #")
    base, mark, parameters = url.partition("?")
    return base.rstrip("/") + (mark + parameters if parameters else "")


HTTPURL = Annotated[str, AfterValidator(http_url)]


class Connection(BaseModel):
    """How another server is reached by HTTP: TLS, proxy, headers."""

    ca_bundle: str = Field(
        default="", description="PEM file to verify https with; the system's if empty"
    )
    client_cert: str = Field(
        default="", description="PEM file of the certificate to show to the server"
    )
    client_key: str = Field(default="", description="PEM file of its key")
    proxy: SecretStr | None = Field(
        default=None,
        description="http://[user:password@]host:port to call through; by HTTP_PROXY, HTTPS_PROXY "
        "and NO_PROXY if not given",
    )
    extra_headers: SecretStr | None = Field(
        default=None, description="JSON object of headers to send, such as an authorization"
    )

    def verifies(self, named: Callable[[str], str] = option_of) -> ssl.SSLContext | str:
        """For build_client. Raises ConfigurationError that names what is wrong as `named` does."""
        files = (self.ca_bundle, self.client_cert, self.client_key)
        return tls_context(*files, named=named) if any(files) else ""

    def headers(self) -> dict[str, str]:
        """Names in lower case. Raises ConfigurationError, never with a value: it may be secret."""
        pairs = json_object(self, "extra_headers").items()
        headers = {name.lower(): str(value) for name, value in pairs}
        for name, value in headers.items():
            if not (name and (name + value).isascii() and (name + value).isprintable()):
                raise ConfigurationError(f"--extra_headers: {name!r} can't be sent as a header")
        return headers

    def client_for(self, timeout: float, connect: float) -> httpx.AsyncClient:
        """Both in seconds. Raises ConfigurationError for a CA bundle or a proxy that is not
        valid."""
        proxy = self.proxy.get_secret_value() if self.proxy else None
        return build_client(timeout, connect=connect, verify=self.verifies(), proxy=proxy)


class HTTPUpstreamSettings(Connection, UpstreamSettings):
    """What every engine has that calls another server by HTTP."""

    def client(self) -> httpx.AsyncClient:
        """Raises as client_for."""
        return self.client_for(self.timeout, self.connect_timeout)


def json_object(settings: BaseModel, field: str) -> dict[str, Any]:
    """The JSON object in a secret field; empty where it is not set. Raises ConfigurationError."""
    secret: SecretStr | None = getattr(settings, field)
    try:
        value = orjson.loads(secret.get_secret_value()) if secret else {}
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"--{field} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError(f"--{field} is JSON, but not an object")
    return value
