"""What a server's OpenAPI description says of chats and completions."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

JSON: Final = "application/json"
ERROR: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


def operation(request: type[BaseModel]) -> dict[str, Any]:
    """Fields of an operation whose body is a `request`, as OpenAPI 3.1 has them."""
    schema = request.model_json_schema()
    body = _inlined(schema, schema.pop("$defs", {}))
    answer = {JSON: {"schema": {"type": "object"}}, "text/event-stream": {}}
    refused = {"description": "What is wrong.", "content": {JSON: {"schema": ERROR}}}
    return {
        "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
        "responses": {
            "200": {"description": "The answer, or its events.", "content": answer},
            "4XX": refused,
            "5XX": refused,
        },
    }


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Its references are to itself, and would lead nowhere inside of a larger document."""
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(each, definitions) for name, each in schema.items()}
