"""What probes are told of models that load, sicken, die and stop."""

import pytest
from kserve import ModelRepository
from kserve.errors import ModelNotFound

from predictors.serving.dataplane import TruthfulDataPlane
from predictors.serving.life import ServedModel


class Scripted(ServedModel):
    answering, living = True, True

    async def answers(self) -> bool:
        return self.answering

    def alive(self) -> bool:
        return self.living


def plane(*models: Scripted) -> TruthfulDataPlane:
    repository = ModelRepository()
    for model in models:
        model.ready = True
        repository.update(model)
    return TruthfulDataPlane(repository, 100)


async def told(plane: TruthfulDataPlane) -> tuple[bool, bool]:
    """(ready, live)"""
    return await plane.ready(), (await plane.live())["status"] == "alive"


async def test_a_server_without_a_model_is_neither_ready_nor_live() -> None:
    assert await told(plane()) == (False, False)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, (True, True)),
        ({"answering": False}, (False, True)),
        ({"stopping": True}, (False, True)),
        ({"answering": False, "living": False}, (False, False)),
    ],
)
async def test_one_model_that_cannot_answer_is_told(
    state: dict[str, bool], expected: tuple[bool, bool]
) -> None:
    model = Scripted("m")
    for name, value in state.items():
        setattr(model, name, value)
    asked = plane(Scripted("other"), model)
    assert await told(asked) == expected
    assert await asked.model_ready("m") is expected[0]
    assert await asked.model_ready("other")
    assert await asked.model_ready("m", disable_predictor_health_check=True)  # an inference


async def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(ModelNotFound):
        await plane(Scripted("m")).model_ready("nobody")
