"""When the second side is asked, and when not any more."""

import asyncio
from typing import Any

from transformers_hem.gateway.hedging import race
from transformers_hem.gateway.outlet import Outlet


async def test_nobody_is_asked_beside_a_side_that_goes_on_behind_what_was_said() -> None:
    """It has released the outlet, as its first model broke off, and the caller has a beginning."""
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    outlet = Outlet(send, streams=True, patience=60)

    async def first() -> None:
        outlet.claim("edge")
        await outlet.more(b"one ")
        outlet.release()
        await asyncio.sleep(0.1)
        outlet.claim("cloud")
        await outlet.more(b"two")

    async def second() -> None:
        outlet.claim("hedge")
        await outlet.more(b"one two")

    await race(outlet, first, second, 0.02, lambda: True)
    assert b"".join(sent) == b"one two"
