"""A guard that counts, asked as who sends something to the cloud asks it."""

from predictors.contract.usage import Usage
from transformers_hem.guards.admission import Going, KeptAtEdge, admit
from transformers_hem.guards.base import Guard


async def goes_by(guard: Guard, client: str = "", *, forced: bool = False) -> bool:
    try:
        await admit({"guard": guard}, Going(client, Usage(10, 0, 20), forced=forced))
    except KeptAtEdge as kept:
        assert kept.guard == "guard"
        return False
    return True
