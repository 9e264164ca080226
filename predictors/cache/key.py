"""Which queries are the same, and of which model: digests of canonical JSON.

Everything that may change an answer is part of a key, so that a wrong hit can't happen; the price
is that a harmless change (an engine's timeout) starts a cache on disk anew.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import SecretBytes, SecretStr

from predictors.contents import DIGEST_BYTES, contents
from predictors.contract import REPETITION_PENALTY, Query
from predictors.contract.query import CONTRACT_SAMPLING
from predictors.embedded import PREFIX, directory
from predictors.errors import ConfigurationError
from predictors.settings import EngineSettings

FORMAT: Final = 1  # of records and keys; another number makes what older versions wrote a miss


def model_identity(model_name: str, engine: str, settings: EngineSettings) -> bytes:
    """Digest of the served model: its name, its engine with every option, and, for an option that
    names a file or directory, what lies there: names, sizes, and both ends of each file. Raises
    ConfigurationError where such a file can't be read."""
    options = settings.model_dump()
    try:
        content = {name: list(contents(path)) for name, path in _paths(options)}
    except OSError as error:
        raise ConfigurationError(f"cache: the model can't be read: {error}") from None
    project = version("kserve-hem")
    return _digest([FORMAT, project, model_name, engine, options, content])


def answer_key(identity: bytes, query: Query, tenant: str = "") -> bytes:
    """Greedy decoding reads neither `top_p` nor `seed`, so they make no difference there. What only
    chats and completions have counts where it is there, and so does a `tenant`: keys of texts stay
    as they were."""
    sampling = asdict(query.sampling)
    named_default = REPETITION_PENALTY in sampling.pop("given") and (
        query.sampling.repetition_penalty == CONTRACT_SAMPLING.repetition_penalty
    )
    if named_default:  # one that nobody named may not reach another server
        sampling["given"] = REPETITION_PENALTY
    if query.sampling.greedy:
        del sampling["top_p"], sampling["seed"]
    for name in ("presence_penalty", "frequency_penalty"):
        if not sampling[name]:
            del sampling[name]
    content: list[Any] = [identity.hex(), query.text, sampling]
    messages = [message.as_json() for message in query.messages]
    chat = [messages, query.raw, list(query.tokens), dict(query.options)]
    if query.echo:
        chat.append("echo")
    if query.continues:
        chat.append("continues")
    if any(chat):
        content.append(chat)
    if tenant:
        content.append({"tenant": tenant})
    return _digest(content)


def _digest(content: list[Any]) -> bytes:
    canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS, default=_plain)
    return hashlib.blake2b(canonical, digest_size=DIGEST_BYTES).digest()


def _plain(value: Any) -> Any:
    """What JSON lacks. A secret may change answers too; only its digest leaves this file."""
    return value.get_secret_value() if isinstance(value, SecretStr | SecretBytes) else str(value)


def _paths(options: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    for name, value in options.items():
        if not isinstance(value, str) or not value:
            continue
        try:
            path = directory(value) if value.startswith(PREFIX) else Path(value).expanduser()
            if path.exists():
                yield name, path
        except (ConfigurationError, OSError, ValueError, RuntimeError):
            continue  # not a path; an engine that needs one says so itself
