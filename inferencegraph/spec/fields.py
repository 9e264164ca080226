"""What all parts of a spec have in common."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


class Part(BaseModel):
    """One mapping of the spec. A field's name in YAML is camelCase, as in Kubernetes; the field's
    own name, as the V2 contract and the documents of Ianvs write some, is taken as well."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )


def _text(value: Any) -> Any:
    """A quantity may be written as a number: `cpu: 2`."""
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value


def by_name(value: Any) -> Any:
    """A name alone may stand for a part that has one."""
    return {"name": value} if isinstance(value, str) else value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Quantity = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | int | float)]
# Before a tuple's type: YAML has lists, and strict models take no list for a tuple.
FromList = BeforeValidator(_tuple)
