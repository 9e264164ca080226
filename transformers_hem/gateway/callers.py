"""Callers and what they may do, as a file says, or each file of a folder.

A file has a key a line; blank lines and those that begin with # are left out. Or it is YAML, or
JSON:

tokens:
  - name: team-a
    sha256: 9f86...          # of the key; or key: the key itself. A list of either: all are taken
    requests_per_minute: 60
    models: [qa, qa-edge]    # names that it may call; all of the site's if not given
    side: edge               # who answers it: edge, cloud, or both
    guards: [PrivacyGuard]   # of the site's those that hold for it; all if not given
    admin: true              # whether it may call /admin

In a folder, as a mounted Secret is one, a file of plain keys has the name of their one caller.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from predictors.contract import CLOUD, EDGE
from predictors.errors import ConfigurationError, Forbidden
from predictors.strict_yaml import StrictLoader, what_is_wrong
from transformers_hem.algorithms.base import Route

Side = Literal["edge", "cloud", "both"]

NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
ANONYMOUS: Final = "anonymous"
_STRUCTURED: Final = re.compile(r"\s*(?:#[^\n]*\n\s*)*(?:\{|tokens\s*:)")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by a name that logs and metrics may have. `tenant`: what keeps its cached answers
    apart; empty: they are everybody's. None: no limit, all models, all guards."""

    name: str
    tenant: str = ""
    requests_per_minute: int | None = None
    models: frozenset[str] | None = None
    side: Side = "both"
    guards: frozenset[str] | None = None
    admin: bool = False

    def may_call(self, model: str, forced: Route | None) -> bool:
        """`forced`: the side that this model's name stands for."""
        if forced is not None and self.side not in ("both", forced):
            return False
        return self.models is None or model in self.models

    def prefer(self, model: str, forced: Route | None) -> Route | None:
        """The side that answers this caller's `model`, None where mining says. Raises Forbidden."""
        if not self.may_call(model, forced):
            raise Forbidden(f"{self.name} may not call the model {model!r}")
        if self.side == "both":
            return forced
        return EDGE if self.side == "edge" else CLOUD


# Where no file says who may call, and everybody may.
EVERYBODY: Final = Caller(ANONYMOUS, admin=True)

Callers = Mapping[bytes, Caller]  # by the sha256 of each key


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Key = Annotated[str, Field(min_length=1, pattern=r"^\S(?:.*\S)?$")]
Hash = Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")]


class _Token(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    key: Annotated[list[Key], BeforeValidator(_listed)] = []
    sha256: Annotated[list[Hash], BeforeValidator(_listed)] = []
    requests_per_minute: int | None = Field(default=None, ge=1)
    models: list[str] | None = None
    side: Side = "both"
    guards: list[str] | None = None
    admin: bool = False

    @model_validator(mode="after")
    def _has_a_key(self) -> "_Token":
        if not (self.key or self.sha256):
            raise ValueError("has no key: give key, or sha256, its hash")
        if self.name == ANONYMOUS:
            raise ValueError(f"the name {ANONYMOUS} is taken")
        return self

    def caller(self) -> Caller:
        return Caller(
            self.name,
            self.name,
            self.requests_per_minute,
            None if self.models is None else frozenset(self.models),
            self.side,
            None if self.guards is None else frozenset(self.guards),
            self.admin,
        )

    def hashes(self) -> Iterator[bytes]:
        yield from map(hash_of, self.key)
        yield from map(bytes.fromhex, self.sha256)


class _Tokens(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", strict=True)

    tokens: list[_Token]


def hash_of(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def read_callers(path: Path) -> Callers:
    """Of a file, or a folder of them. Raises FileNotFoundError, and ConfigurationError that names
    the file and what is wrong, never with a key."""
    if not path.is_dir():
        return dict(_read_file(path, None))
    callers = _Collected(path)
    for file in sorted(path.iterdir()):
        if not file.name.startswith(".") and file.is_file():  # a Secret has ..data beside its keys
            callers.add(file, _read_file(file, file.name))
    return callers.by_hash


@dataclass(slots=True)
class _Collected:
    """Of all files of a folder."""

    path: Path
    by_hash: dict[bytes, Caller] = field(default_factory=dict)

    def add(self, file: Path, callers: Callers) -> None:
        names = {caller.name for caller in self.by_hash.values()}
        for digest, caller in callers.items():
            if digest in self.by_hash:
                other = self.by_hash[digest].name
                raise ConfigurationError(f"{file}: {caller.name} has the same key as {other}")
            if caller.name in names:
                raise ConfigurationError(f"{file}: there is another caller {caller.name!r}")
            self.by_hash[digest] = caller


def _read_file(path: Path, name: str | None) -> Callers:
    """`name`: of the caller whose plain keys these are."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text") from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror or error}") from None
    if _STRUCTURED.match(text):
        return _structured(path, text)
    return _plain(path, text, name)


def _plain(path: Path, text: str, name: str | None) -> Callers:
    if name is not None and not re.fullmatch(NAME, name):
        raise ConfigurationError(f"{path}: the name of a file is its caller's, and must be {NAME}")
    lines = (line.strip() for line in text.splitlines())
    keys = dict.fromkeys(line for line in lines if line and not line.startswith("#"))
    named = Caller(name, name) if name else None
    return {hash_of(key): named or Caller(f"key-{n}") for n, key in enumerate(keys, start=1)}


def _structured(path: Path, text: str) -> Callers:
    try:
        tokens = _Tokens.model_validate(yaml.load(text, Loader=StrictLoader)).tokens
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{path}{line}: this is not YAML") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}{what_is_wrong(error)}") from None
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {_fault(error)}") from None
    callers: dict[bytes, Caller] = {}
    names: set[str] = set()
    for token in tokens:
        if token.name in names:
            raise ConfigurationError(f"{path}: there are two callers {token.name!r}")
        names.add(token.name)
        for digest in token.hashes():
            if digest in callers:
                other = callers[digest].name
                raise ConfigurationError(f"{path}: {token.name} has a key of {other}")
            callers[digest] = token.caller()
    return callers


def _fault(error: ValidationError) -> str:
    """Where and what, without the value: what stands in a wrong place may be a key."""
    fault = error.errors(include_url=False, include_input=False)[0]
    fields = (*_Token.model_fields, *_Tokens.model_fields)
    known = [str(part) for part in fault["loc"] if isinstance(part, int) or part in fields]
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        message = f"a field that is not known; known: {', '.join(_Token.model_fields)}"
    if fault["type"] == "missing":
        message = f"{known.pop() if known else 'tokens'} is missing"
    return ": ".join(filter(None, (".".join(known), message)))
