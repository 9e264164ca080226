"""How Kubernetes' API says no."""

from collections.abc import Mapping
from typing import Any

Key = tuple[str, str, str, str]  # group and version, plural, namespace, name
Reason = str | Mapping[str, str]  # why an object is invalid, as one text or by field


class Refusal(Exception):
    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status = status(code, reason, message, **details)


def status(code: int, reason: str, message: str, **details: Any) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    }


def forbidden(verb: str, resource: str, group: str, namespace: str) -> tuple[int, dict[str, Any]]:
    text = (
        f'{resource}.{group} is forbidden: User "ada" cannot {verb} resource "{resource}" in API '
        f'group "{group}" in the namespace "{namespace}"'
    )
    return 403, status(403, "Forbidden", text, kind=resource, group=group)


def invalid(kind: str, name: str, reason: Reason) -> Refusal:
    pairs = [] if isinstance(reason, str) else list(reason.items())
    causes = [{"reason": "FieldValueInvalid", "field": f, "message": m} for f, m in pairs]
    text = reason if isinstance(reason, str) else ", ".join(f"{f}: {m}" for f, m in pairs)
    return Refusal(422, "Invalid", f'{kind} "{name}" is invalid: {text}', causes=causes)


def no_resource() -> Refusal:
    return Refusal(404, "NotFound", "the server could not find the requested resource")


def not_found(key: Key) -> Refusal:
    text = f'{key[1]} "{key[3]}" not found'
    return Refusal(404, "NotFound", text, name=key[3], kind=key[1])
