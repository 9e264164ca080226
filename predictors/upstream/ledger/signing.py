"""Signatures of a ledger's lines, by Ed25519: who checks them needs the public key alone, which can
sign nothing. cryptography does it, and is imported by who has a key.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY: Final = "key"  # the fields of a line that is signed
SIGNATURE: Final = "signature"
_DIGITS: Final = 16  # of a key's fingerprint
_HOW: Final = "openssl genpkey -algorithm ed25519 -out FILE"


class Signer:
    """With the private key in a PEM file. Raises ConfigurationError."""

    def __init__(self, path: Path) -> None:
        self._key = _private(path)
        self._fingerprint = _fingerprint(self._key.public_key())

    def signed(self, line: dict[str, Any]) -> dict[str, str]:
        """The two fields for a line that has all others that are signed."""
        fields = {KEY: self._fingerprint}
        return {**fields, SIGNATURE: self._key.sign(_message({**line, **fields})).hex()}


class Checker:
    """With the public key in a PEM file, or the private one. Raises ConfigurationError."""

    def __init__(self, path: Path) -> None:
        self._key = _public(path)
        self.fingerprint = _fingerprint(self._key)

    def fault(self, line: dict[str, Any]) -> str:
        """What is wrong with a line's signature; empty where it holds."""
        from cryptography.exceptions import InvalidSignature

        if line.get(KEY) != self.fingerprint:
            other = str(line.get(KEY))[:_DIGITS]
            return f"is signed with another key, {other}, and not with {self.fingerprint}"
        try:
            self._key.verify(bytes.fromhex(str(line[SIGNATURE])), _message(line))
        except (ValueError, InvalidSignature):
            return "has a signature that does not hold"
        return ""


def _message(line: dict[str, Any]) -> bytes:
    """What is signed: the line's number, the hash of all before it, its time and its kind."""
    words = (line[name] for name in ("n", "prev", "at", "kind", KEY))
    return " ".join(["hem ledger 1", *map(str, words)]).encode()


def _private(path: Path) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_content(path), None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{path} is no private key in PEM: {error}; {_HOW}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path} is a key of another kind than Ed25519: {_HOW}")
    return key


def _public(path: Path) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content = _content(path)
    if b"PRIVATE KEY" in content:
        return _private(path).public_key()
    try:
        key = load_pem_public_key(content)
    except ValueError as error:
        raise ConfigurationError(f"{path} is no public key in PEM: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(f"{path} is a key of another kind than Ed25519")
    return key


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise ConfigurationError(f"the key {path} can't be read: {reason}") from None


def _fingerprint(key: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:_DIGITS]
