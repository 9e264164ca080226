"""MixInstruct as published with LLM-Blender (https://github.com/yuchenlin/LLM-Blender, arXiv
2306.02561): {"id", "instruction", "input", "output", "candidates": [{"model", "text",
"scores"}], "cmp_results"} in JSON Lines or one JSON array. The output is the reference."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from inferencegraph.evaluate.importing.importer import ImportOptions, RecordImporter
from inferencegraph.evaluate.importing.report import LeftOut, Place
from inferencegraph.evaluate.importing.rows import Row, compared, known_fields, number, text
from predictors.errors import ConfigurationError
from transformers_hem.labels.mixinstruct import label_of, query_of


class MixInstructOptions(ImportOptions):
    """`score`: one of the candidates' scores, or `comparison`: the winner of the pair."""

    score: str = "bartscore"


class MixInstruct(RecordImporter):
    Options: ClassVar[type[ImportOptions]] = MixInstructOptions
    options: MixInstructOptions

    def rows(self, paths: Sequence[Path]) -> Iterator[tuple[Place, Row]]:
        self.pair.require_both()
        return super().rows(paths)

    def row(self, record: dict[str, Any], place: Place) -> Row:
        row = {"query": query_of(record)}
        row |= known_fields(id=record.get("id"), reference=text(record.get("output")))
        edge, cloud = self.pair.edge, self.pair.cloud
        if edge is None or cloud is None:
            return row | compared(self.pair, self._scores(record))
        try:
            label = label_of(record, "", edge, cloud, self.options.score)
        except ConfigurationError as error:
            raise LeftOut("no label of the pair", str(error).removeprefix(": ")) from None
        if label is None:
            raise LeftOut("no comparison of the pair")
        label = {name: value for name, value in label.items() if value is not None}
        return row | label | {"edge_model": edge, "cloud_model": cloud}

    def _scores(self, record: dict[str, Any]) -> dict[str, dict[str, Any]]:
        models: dict[str, dict[str, Any]] = {}
        candidates = record.get("candidates")
        for candidate in candidates if isinstance(candidates, list) else ():
            scores = candidate.get("scores") if isinstance(candidate, dict) else None
            score = number(scores.get(self.options.score)) if isinstance(scores, dict) else None
            if score is not None and isinstance(candidate.get("model"), str):
                models[candidate["model"]] = {"score": score}
        if not models:
            raise LeftOut("no score", f"no candidate has {self.options.score!r}")
        return models
