"""POSTs JSON to one far side, and gives each way in which it fails its place in our errors."""

import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import httpx
import orjson
from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from predictors.errors import (
    ConfigurationError,
    Failure,
    HEMError,
    InvalidRequest,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from predictors.upstream.body import ACCEPTED, bound_body
from predictors.upstream.call import (
    Upstream,
    UpstreamSettings,
    reading,
)
from predictors.upstream.client import (
    FORWARDED,
    build_client,
    upstream_failure,
)
from predictors.upstream.redaction import Redaction

T = TypeVar("T")
ReadStream: TypeAlias = Callable[[httpx.Response, float], Awaitable[T]]

# What the caller can mend stays a client error; anything else says that the far side is at fault.
CALLERS_FAULT: Final = frozenset({400, 413, 422})
STATUS_ERRORS: Final[Mapping[int, type[UpstreamError]]] = {
    408: UpstreamTimeout,
    429: UpstreamUnavailable,
    503: UpstreamUnavailable,
    504: UpstreamTimeout,
}
# A moment later the same call may succeed. Not 500: the model failed on this very query.
RETRYABLE: Final = frozenset({429, 502, 503, 504})


def http_url(url: str) -> str:
    """A base URL without its last slash. Raises ValueError."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"is no URL: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("must be http://host[:port] or https://host[:port]")
    if parsed.query or parsed.fragment:
        raise ValueError("must be a base URL, without ? and #")
    if parsed.userinfo:
        raise ValueError("must not hold a password: it is shown in errors and metrics")
    return url.rstrip("/")


HTTPURL = Annotated[str, AfterValidator(http_url)]


def json_object(settings: BaseSettings, field: str) -> dict[str, Any]:
    """The JSON object in a secret field; empty where it has none. Raises ConfigurationError."""
    given: SecretStr | None = getattr(settings, field)
    try:
        found = orjson.loads(given.get_secret_value()) if given else {}
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"--{field} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"--{field} is JSON, but no object")
    return found


class HTTPUpstreamSettings(UpstreamSettings):
    """What every engine has that calls another server by HTTP."""

    ca_bundle: str = Field("", description="PEM file to verify https with; the system's if empty")
    proxy: SecretStr | None = Field(
        None, description="http://[user:password@]host:port to call through"
    )
    extra_headers: SecretStr | None = Field(
        None, description="JSON object of headers to send, such as an authorization"
    )

    def headers(self) -> dict[str, str]:
        """Names in lower case. Raises ConfigurationError, never with a value: it may be secret."""
        given = json_object(self, "extra_headers")
        found = {name.lower(): str(value) for name, value in given.items()}
        for name, value in found.items():
            if not (name and (name + value).isascii() and (name + value).isprintable()):
                raise ConfigurationError(f"--extra_headers: {name!r} can't be sent as a header")
        return found


class HTTPUpstream:
    """One base URL. `headers` go with each call, and no error repeats what they hold, whatever the
    far side says. `key_hint` says where the key is set, for a far side that refuses it."""

    def __init__(
        self,
        url: str,
        settings: HTTPUpstreamSettings,
        *,
        headers: Mapping[str, str],
        key_hint: str = "",
    ) -> None:
        """Raises ConfigurationError for a CA bundle or a proxy that is none."""
        self.url = url
        self._key_hint = key_hint
        self._limit = settings.max_answer_bytes
        self._redaction = Redaction(headers.values())
        self._upstream = Upstream(url, settings)
        self._client = _client(settings)
        self._client.headers.update({"accept-encoding": ACCEPTED, **headers})

    async def post(self, path: str, body: Any, read: Callable[[Any], T]) -> T:
        """What `read` makes of the JSON answer to a POST of `body` as JSON.

        `read` raises ValueError where the answer is not what it should be. Raises InvalidRequest
        where the far side says that the caller is at fault, else UpstreamError or Overloaded.
        """
        content = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        return await self._upstream.call(lambda: self._attempt("POST", path, content, _json(read)))

    async def get(self, path: str, read: Callable[[Any], T]) -> T:
        """The same for a GET."""
        return await self._upstream.call(lambda: self._attempt("GET", path, None, _json(read)))

    async def stream(self, path: str, body: Any, read: ReadStream[T]) -> T:
        """What `read` makes of a streamed answer and of when its request left (perf_counter).

        It raises as that of `post`.
        """
        content = orjson.dumps(body)
        return await self._upstream.call(lambda: self._attempt("POST", path, content, read))

    async def close(self) -> None:
        await self._client.aclose()

    async def _attempt(
        self, method: str, path: str, content: bytes | None, read: ReadStream[T]
    ) -> T:
        url = self.url + path
        request = self._request(method, url, content)
        begin = time.perf_counter()
        try:
            response = await self._client.send(request, stream=True)
            try:
                bound_body(response, url, self._limit)
                with reading(url, self._redaction, passing=(httpx.HTTPError, TimeoutError)):
                    if response.status_code == 200:
                        return await read(response, begin)
                    await response.aread()
                    failure = self._refusal(response, url)
                raise failure
            finally:
                await response.aclose()
        except (httpx.HTTPError, TimeoutError) as error:
            raise upstream_failure(error, url, self._redaction) from None

    def _request(self, method: str, url: str, content: bytes | None) -> httpx.Request:
        headers = dict(FORWARDED.get())
        if content is not None:
            headers["content-type"] = "application/json"
        return self._client.build_request(method, url, content=content, headers=headers)

    def _refusal(self, response: httpx.Response, url: str) -> HEMError:
        if response.status_code in (401, 403) and self._key_hint:
            return refusal(response, url, self._key_hint)
        return refusal(response, url, self._redaction.reason(error_reason(response)))


def _json(read: Callable[[Any], T]) -> ReadStream[T]:
    async def parsed(response: httpx.Response, begin: float) -> T:
        return read(orjson.loads(await response.aread()))

    return parsed


def refusal(response: httpx.Response, url: str, reason: str) -> HEMError:
    """The error for a status that is not 200."""
    status = response.status_code
    if status in CALLERS_FAULT:
        return InvalidRequest(reason or f"{url} answered {status}")
    kind = STATUS_ERRORS.get(status, UpstreamError)
    return kind(
        f"{url} answered {status}: {reason}" if reason else f"{url} answered {status}",
        failure=Failure.SERVER_ERROR if status >= 500 else Failure.REFUSED,
        retryable=status in RETRYABLE,
        retry_after=retry_after(response.headers),
    )


def error_reason(response: httpx.Response) -> str:
    """What a body says is wrong: V2's `{"error": "..."}`, OpenAI's `{"error": {"message": "..."}}`,
    FastAPI's `{"detail": ...}`, `{"message": "..."}`; else all of it."""
    try:
        found = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        found = response.content.decode(errors="replace")
    for key in ("error", "message", "detail"):
        if isinstance(found, dict):
            found = found.get(key, found)
    return found if isinstance(found, str) else orjson.dumps(found).decode()


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from `Retry-After` (RFC 9110: seconds or a date); None where absent or broken."""
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _client(settings: HTTPUpstreamSettings) -> httpx.AsyncClient:
    limits = httpx.Timeout(settings.timeout, connect=settings.connect_timeout)
    proxy = settings.proxy.get_secret_value() if settings.proxy else None
    try:
        return build_client(limits, verify=settings.ca_bundle or True, proxy=proxy)
    except OSError as error:
        raise ConfigurationError(f"--ca_bundle {settings.ca_bundle!r}: {error}") from None
    except ValueError:
        raise ConfigurationError(
            "--proxy is no URL of a proxy: http://[user:password@]host:port"
        ) from None
