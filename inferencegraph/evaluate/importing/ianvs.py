"""Data sets of KubeEdge's Ianvs and Sedna (https://github.com/kubeedge/ianvs,
examples/cloud-edge-collaborative-inference-for-llm): data.jsonl with {"query", "response",
"explanation", "level_1_dim" to "level_4_dim"} in each line, and metadata.json beside it, whose
fields hold for lines that lack them. Other examples call the query `question`, and put a
`prompt` in front of it.

A folder is that of a split, or has the folders test_data and train_data.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import orjson

from inferencegraph.evaluate.importing.importer import ImportOptions, RecordImporter
from inferencegraph.evaluate.importing.report import LeftOut, Place
from inferencegraph.evaluate.importing.rows import Row, known_fields, text
from predictors.contract.chat import SYSTEM, USER
from predictors.errors import ConfigurationError
from predictors.jsonl import read_content

_LEVELS: Final = ("level_4_dim", "level_3_dim", "level_2_dim", "level_1_dim", "dataset")
_METADATA: Final = ("metadata.json", "metadata.jsonl", "data_info.json")
_OPTION: Final = re.compile(r"^\s*\(?B[.):]", re.M)


class IanvsOptions(ImportOptions):
    split: Literal["test", "train"] = "test"


class Ianvs(RecordImporter):
    Options: ClassVar[type[ImportOptions]] = IanvsOptions
    options: IanvsOptions
    _metadata: dict[str, Any]

    def rows(self, paths: Sequence[Path]) -> Iterator[tuple[Place, Row]]:
        return super().rows([self._data(path) for path in paths])

    def records(self, path: Path) -> Iterator[tuple[Place, Any]]:
        self._metadata = _read_metadata(path.parent)
        return super().records(path)

    def row(self, record: dict[str, Any], place: Place) -> Row:
        query = text(record.get("query")) or text(record.get("question"))
        if query is None:
            raise LeftOut("missing fields", "no 'query'")
        reference = text(record.get("response")) or text(record.get("answer"))
        if reference is None:
            self.report.note(place, "without a response to compare with")
        described = self._metadata | {k: v for k, v in record.items() if k in _LEVELS and v}
        category = next((v for level in _LEVELS if (v := text(described.get(level)))), None)
        lettered = reference is not None and len(reference.strip()) == 1
        chosen = lettered and _OPTION.search(query) is not None
        row: Row = {"query": query}
        if (background := text(record.get("prompt"))) and self.reading.keep_system:
            turns = ((SYSTEM, background), (USER, query))
            row["messages"] = [{"role": role, "content": content} for role, content in turns]
        return row | known_fields(
            reference=reference,
            scorer="multiple_choice" if chosen else None,
            category=category,
            id=record.get("id") or record.get("request_id"),
        )

    def _data(self, path: Path) -> Path:
        if not path.is_dir():
            return path
        places = (path, path / f"{self.options.split}_data")
        for folder in places:
            for name in ("data.jsonl", "data.json", "data.jsonl.gz"):
                if (folder / name).is_file():
                    return folder / name
        raise ConfigurationError(f"{path} has no data.jsonl, nor has {places[1]}")


def _read_metadata(folder: Path) -> dict[str, Any]:
    """Empty where there is none. Raises ConfigurationError for one that is no JSON object."""
    for name in _METADATA:
        path = folder / name
        if path.is_file():
            try:
                content = orjson.loads(read_content(path))
            except orjson.JSONDecodeError as error:
                raise ConfigurationError(f"{path}: not JSON: {error}") from None
            if not isinstance(content, dict):
                raise ConfigurationError(f"{path}: must be a JSON object")
            return content
    return {}
