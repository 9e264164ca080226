"""Error bodies as OpenAI's clients read them: `{"error": {"message", "type", "param", "code"}}`."""

from typing import Any, Final

from predictors.errors import (
    ContextTooLong,
    HEMError,
    InvalidRequest,
    TooManyRequests,
    UnknownModel,
    UpstreamError,
)

PREFIXES: Final = ("/openai/v1", "/v1")
OPENAI_PATHS: Final = frozenset(
    f"{prefix}/{path}"
    for prefix in PREFIXES
    for path in ("chat/completions", "completions", "responses", "embeddings")
)
# Types that the clients know; the status decides which exception they raise.
TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
CONTEXT: Final = "context_length_exceeded"


class InvalidField(InvalidRequest):
    """A field of an OpenAI request: `param` is its path, as `messages[0].role`."""

    def __init__(self, message: str, param: str, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


def error_body(error: HEMError) -> dict[str, Any]:
    """Of any error of ours. In a stream it is the data of an event."""
    param = error.param if isinstance(error, InvalidField) else None
    return openai_error(str(error), error.status, param, code_of(error))


def openai_error(
    message: str, status: int, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def code_of(error: HEMError) -> str | None:
    if isinstance(error, ContextTooLong):
        return CONTEXT
    if isinstance(error, UnknownModel):
        return "model_not_found"
    if isinstance(error, TooManyRequests):
        return "rate_limit_exceeded"
    if isinstance(error, InvalidField):
        return error.code
    return str(error.cause) if isinstance(error, UpstreamError) else None
