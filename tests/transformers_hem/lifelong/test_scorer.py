"""Each query is asked of a router once, and scored as it is served."""

import numpy as np

from transformers_hem.algorithms.base import Batch
from transformers_hem.lifelong.scorer import Scorer
from transformers_hem.retraining.challenger import coin
from transformers_hem.routers.base import TrainedRouter
from transformers_hem.routers.linear.score import LinearParameters, LinearRouter
from transformers_hem.routers.scoring import open_router


class Counting(LinearRouter):
    """Notes what it is asked."""

    def __init__(self, parameters: LinearParameters) -> None:
        super().__init__(parameters)
        self.asked: list[str] = []

    def raw(self, batch: Batch) -> np.ndarray:
        self.asked += batch.texts
        return super().raw(batch)


def test_each_query_is_asked_once() -> None:
    router = Counting(LinearParameters())
    scorer = Scorer(router)
    first = scorer.scores(["a", "b", "a"])
    assert scorer.raw(["b"]).shape == (1,) and scorer.scores([]).shape == (0,)
    assert scorer.scores(["c", "b", "a"])[1:].tolist() == first[[1, 0]].tolist()
    assert router.asked == ["a", "b", "c"]


def test_scores_are_those_that_are_served() -> None:
    texts = tuple(f"What is {i} + {i % 7}?" for i in range(600))
    router = open_router("embedded:linear")
    assert isinstance(router, TrainedRouter)
    scorer = Scorer(router)
    assert (scorer.scores(texts) == router.score(Batch(600, texts=texts))).all()
    assert (scorer.raw(texts) == router.raw(Batch(600, texts=texts))).all()


def test_who_was_not_trained_has_scores_too() -> None:
    texts = ("a", "b", "c")
    assert (Scorer(coin()).scores(texts) == coin().score(Batch(3, texts=texts))).all()
