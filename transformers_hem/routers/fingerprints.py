"""Which queries a router was trained on, as hashes: a benchmark finds those that it shares.

A file of its directory, 8 bytes a query, in ascending order. Who has a query can tell whether it
was among them; the queries themselves can't be read from it.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from predictors.errors import ConfigurationError
from transformers_hem.routers.directory import locate
from transformers_hem.routers.linear.features import HashedQuery

FILE: Final = "training_rows.bin"
BYTES: Final = 8
_NAME: Final = re.compile(f"[0-9a-f]{{{2 * BYTES}}}")


def fingerprint(query: str) -> bytes:
    """Equal for texts that differ in case, in white space or in Unicode's spelling alone. A query
    whose text was not kept has it as its name; whoever sends records may have named it otherwise.
    """
    if isinstance(query, HashedQuery) and _NAME.fullmatch(query):
        return bytes.fromhex(query)
    plain = " ".join(unicodedata.normalize("NFKC", query).casefold().split())
    return hashlib.blake2b(plain.encode(errors="surrogatepass"), digest_size=BYTES).digest()


def write_fingerprints(directory: Path, queries: Iterable[str]) -> None:
    (directory / FILE).write_bytes(b"".join(sorted({fingerprint(query) for query in queries})))


def read_fingerprints(router: str) -> frozenset[bytes] | None:
    """None where the router has none. Raises ConfigurationError where the file is damaged."""
    path = locate(router) / FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from None
    if len(content) % BYTES:
        raise ConfigurationError(f"{path} is damaged: its size is no multiple of {BYTES}")
    return frozenset(content[start : start + BYTES] for start in range(0, len(content), BYTES))
