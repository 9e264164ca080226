"""Who forces the cloud, where the engine's small model may stand in for it."""

import asyncio
from collections.abc import Sequence

from predictors.cache.engine import CachedEngine
from predictors.cache.store import MemoryStore
from predictors.contract import Answer, Query, Sampling
from predictors.contract.answer import Speculation
from predictors.engines.base import TextEngine
from predictors.errors import UpstreamError
from predictors.settings import EngineSettings
from predictors.upstream.ledger.decision import decided, forces_cloud

ASKED = Query("x", Sampling(temperature=0.0))
FORCED = {"hem_route": "cloud", "hem_reason": "prefer"}


class Lost(TextEngine):
    """It has lost the cloud, which shows after a while."""

    Settings = EngineSettings
    reads_route = True
    back = False

    async def start(self) -> None:
        return None

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        await asyncio.sleep(0.05)
        if self.back:
            return [Answer("the large one's", speculation=Speculation("speculative"))]
        if forces_cloud():
            raise UpstreamError("it is lost")
        return [Answer("the small one's", speculation=Speculation("edge"))]


async def test_a_caller_who_forces_the_cloud_gets_no_answer_that_another_one_waits_for() -> None:
    engine = Lost(EngineSettings())
    cached = CachedEngine(engine, MemoryStore(1 << 20), b"i", "m")
    await cached.start()
    others = [asyncio.ensure_future(cached.generate([ASKED])) for _ in range(2)]
    await asyncio.sleep(0.01)
    with decided(FORCED):
        forced = asyncio.ensure_future(cached.generate([ASKED]))
    said = await asyncio.gather(*others, forced, return_exceptions=True)
    assert [row[0].text for row in said[:2] if isinstance(row, list)] == ["the small one's"] * 2
    assert isinstance(said[2], UpstreamError)
    engine.back = True
    for _ in range(2):
        with decided(FORCED):
            (told,) = await cached.generate([ASKED])
        engine.back = False  # the second time it is the cache that answers
        assert told.text == "the large one's"
    await cached.close()
