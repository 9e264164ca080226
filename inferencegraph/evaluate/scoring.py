"""How good each answer of a benchmark is, by the scorer of its data set."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from inferencegraph.evaluate.benchmark import Benchmark
from inferencegraph.evaluate.datasets import DataSet, Item
from inferencegraph.evaluate.outcome import Outcome
from predictors.errors import ConfigurationError
from transformers_hem.labels.scorers.base import NoScore, Scorer
from transformers_hem.labels.scorers.options import make_scorer, require_scorable


class Scoring:
    """`fingerprint` is of the questions: two runs with the same are about the same."""

    def __init__(
        self, benchmark: Benchmark, data: Sequence[DataSet], items: Sequence[Item]
    ) -> None:
        self._items = items
        self._scorers: dict[str, Scorer] = {}
        self._of: list[Scorer] = []
        options = [f"{name}={value}" for name, value in benchmark.scorer_options.items()]
        for each, told in zip(data, benchmark.data, strict=True):
            name = told.scorer or benchmark.scorer
            if name not in self._scorers:
                self._scorers[name] = make_scorer(name, options if name == benchmark.scorer else [])
            scorer = self._scorers[name]
            if benchmark.asks:
                require_scorable(scorer, name, [item.question for item in each.items])
            self._of += [scorer] * len(each.items)
        if benchmark.asks and len({scorer.graded for scorer in self._scorers.values()}) > 1:
            raise ConfigurationError(
                "scorer: some of the scorers grade and others say right or wrong; their means are "
                "on two scales: make a benchmark of each"
            )
        whole = hashlib.sha256()
        for item in items:
            whole.update(f"{item.question.id}\0{item.question.fingerprint}\n".encode())
        self.fingerprint = whole.hexdigest()

    async def start(self) -> None:
        for scorer in self._scorers.values():
            await scorer.start()

    async def close(self) -> None:
        for scorer in self._scorers.values():
            await scorer.close()

    async def of_sides(
        self, edge: Sequence[Outcome], cloud: Sequence[Outcome]
    ) -> tuple[list[Outcome], list[Outcome]]:
        """Both with their quality. A pair is scored together, as a judge compares its answers."""
        made = [
            await self._pair(index, small, large)
            for index, (small, large) in enumerate(zip(edge, cloud, strict=True))
        ]
        return [small for small, _ in made], [large for _, large in made]

    async def of_system(
        self, outcomes: Sequence[Outcome], edge: Sequence[Outcome], cloud: Sequence[Outcome]
    ) -> list[Outcome]:
        """An answer that either side gave, too, is as good as that one."""
        made = []
        for index, outcome in enumerate(outcomes):
            sides = (edge[index], cloud[index])
            same = next((o for o in sides if o.text is not None and o.text == outcome.text), None)
            if same is not None:
                made.append(replace(outcome, quality=same.quality))
            else:
                made.append((await self._pair(index, outcome, cloud[index]))[0])
        return made

    async def _pair(self, index: int, small: Outcome, large: Outcome) -> tuple[Outcome, Outcome]:
        one, other = small.text, large.text
        if one is None and other is None:
            return small, large
        question = self._items[index].question
        try:
            pair = await self._of[index].score(question, one or other or "", other or one or "")
        except NoScore as error:
            return small.failed(f"no score: {error}"), large.failed(f"no score: {error}")
        return (
            small if one is None else replace(small, quality=pair.edge),
            large if other is None else replace(large, quality=pair.cloud),
        )
