"""One tree of errors, each with the HTTP status it answers.

    HEMError                     500
    ├── ConfigurationError       500   settings, files or manifests are wrong; found at start
    ├── InvalidRequest           400   the request breaks the V2 contract
    ├── UnknownModel             404
    ├── PayloadTooLarge          413
    ├── EngineError              500   the model failed while it answered
    ├── Overloaded               503
    └── UpstreamError            502   the far side answered with something unusable
        ├── UpstreamUnavailable  503   the far side can't be reached, or refused
        └── UpstreamTimeout      504

`str(error)` is one clear line; over HTTP it is the body `{"error": str(error)}`.
"""

from typing import ClassVar


class HEMError(Exception):
    """Root of the tree; anything else that reaches a client is a bug."""

    status: ClassVar[int] = 500


class ConfigurationError(HEMError):
    """Settings, files or manifests are wrong. Command lines print it and exit with 2."""


class InvalidRequest(HEMError):
    status = 400


class UnknownModel(HEMError):
    status = 404


class PayloadTooLarge(HEMError):
    status = 413


class EngineError(HEMError):
    """The engine failed on a valid request."""


class Overloaded(HEMError):
    status = 503


class UpstreamError(HEMError):
    """The far side answered, but with something unusable."""

    status = 502


class UpstreamUnavailable(UpstreamError):
    status = 503


class UpstreamTimeout(UpstreamError):
    status = 504
