"""A process that spends a budget and writes a ledger until it is killed:
python -m ... STATE LEDGER TOKENS

Four tasks, as four requests at once: each is admitted, leaves by the ledger, uses up to what was
estimated, and is put right.
"""

import asyncio
import itertools
import random
import sys
from pathlib import Path
from typing import Final

from predictors.contract.usage import Usage
from predictors.upstream.ledger.writer import Ledger
from transformers_hem.guards.admission import Going, KeptAtEdge, admit
from transformers_hem.guards.budget.guard import BudgetGuard
from transformers_hem.guards.budget.parameters import BudgetParameters

TASKS: Final = 4
ESTIMATE: Final = Usage(20, 0, 80)
MOST: Final = ESTIMATE.prompt_tokens + ESTIMATE.completion_tokens


async def spends(guard: BudgetGuard, ledger: Ledger) -> None:
    for _ in itertools.count():
        try:
            admission = await admit({"BudgetGuard": guard}, Going("", ESTIMATE))
        except KeptAtEdge:
            await asyncio.sleep(0.001)
            continue
        number = ledger.intend({"to": "https://api.example", "most": MOST})
        await asyncio.sleep(random.random() * 0.001)
        usage = Usage(ESTIMATE.prompt_tokens, 0, random.randint(0, ESTIMATE.completion_tokens))
        told = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
        ledger.report({"of": number, **told})
        admission.settle(usage)


async def main(state: str, path: str, tokens: str) -> None:
    parameters = BudgetParameters(state=state, tokens=int(tokens), window=86_400)
    guard, ledger = BudgetGuard(parameters), Ledger(Path(path), 65_536)
    print("spends", flush=True)
    await asyncio.gather(*(spends(guard, ledger) for _ in range(TASKS)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
