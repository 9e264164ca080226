"""The certificate that a server shows, and the one that it asks its callers for.

Certificate and key are kserve's --ssl_certfile and --ssl_keyfile (KSERVE_TLS_CERT_FILE,
KSERVE_TLS_KEY_FILE); they hold for REST and gRPC alike, and are read again when they change.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from predictors.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ServedTLS:
    """Paths of PEM files. `client_ca`: callers have to show a certificate of this authority; empty:
    none."""

    certificate: str
    key: str
    client_ca: str = ""

    def check(self) -> None:
        """Raises ConfigurationError that names the option of a wrong file."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            raise ConfigurationError(
                f"--ssl_certfile {self.certificate!r}, --ssl_keyfile {self.key!r}: {error}"
            ) from None
        try:
            if self.client_ca:
                context.load_verify_locations(self.client_ca)
        except OSError as error:
            raise ConfigurationError(f"--tls_client_ca {self.client_ca!r}: {error}") from None

    def put_into(self, config: Any) -> None:
        """`config` is uvicorn's; the certificate is kserve's own part."""
        if self.client_ca:
            config.ssl_ca_certs = self.client_ca
            config.ssl_cert_reqs = ssl.CERT_REQUIRED

    def credentials(self) -> grpc.ServerCredentials:
        """Of gRPC, which asks for each connection whether the files are other ones."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), self._now, bool(self.client_ca)
        )

    def _now(self) -> Any:
        try:
            return self._configuration()
        except OSError:
            return None  # as before

    def _configuration(self) -> Any:
        pair = (Path(self.key).read_bytes(), Path(self.certificate).read_bytes())
        root = Path(self.client_ca).read_bytes() if self.client_ca else None
        return grpc.ssl_server_certificate_configuration([pair], root)


def served_tls(certificate: str | None, key: str | None, client_ca: str) -> ServedTLS | None:
    """None where no certificate is given. Raises ConfigurationError."""
    if not (certificate or key):
        if client_ca:
            raise ConfigurationError(
                f"--tls_client_ca {client_ca!r} needs --ssl_certfile and --ssl_keyfile: without "
                "TLS nobody shows a certificate"
            )
        return None
    if not (certificate and key):
        raise ConfigurationError("--ssl_certfile and --ssl_keyfile belong together; give both")
    served = ServedTLS(certificate, key, client_ca)
    served.check()
    return served
