"""What the last retraining and the last check have found, for servers and people: small files
beside the pointer, each replaced as a whole."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from transformers_hem.versions.disk import write_whole

RETRAINED: Final = "retrained.json"
CHECKED: Final = "checked.json"


def tell(folder: Path, name: str, facts: Mapping[str, Any]) -> None:
    """Raises ConfigurationError."""
    write_whole(folder / name, orjson.dumps(facts, option=orjson.OPT_INDENT_2) + b"\n")


def told(folder: Path, name: str) -> dict[str, Any]:
    """Empty where nothing was told, or it can't be read: nobody decides by it."""
    try:
        found = orjson.loads((folder / name).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
