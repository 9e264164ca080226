"""The sixteen faults against our gateway and, where it is installed, LiteLLM's proxy.

python -m tests.faults                at their own speed: some ten minutes
python -m tests.faults --side edge    the edge is the primary, and the cloud its fallback
python -m tests.faults --scale 0.1 --only stalls --only "no response"
"""

import argparse
import asyncio
import contextlib
import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx
from rich.console import Console

from tests.faults.proxies import Side, Start, gateway, litellm, litellm_command
from tests.faults.rows import ROWS, Clock, Row
from tests.faults.stage import Stage, providers
from tests.faults.table import Results, result_of, right, show

LITELLM = "LiteLLM"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--side", choices=("cloud", "edge"), default="cloud", help="the primary")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="seconds of the clock for one of a row"
    )
    parser.add_argument("--only", action="append", default=[], help="a part of a row's name")
    options = parser.parse_args()
    rows = [row for row in ROWS if not options.only or any(o in row.name for o in options.only)]
    if not rows:
        parser.error(f"--only: no such row; there are: {'; '.join(row.name for row in ROWS)}")
    console = Console(width=400)  # a line of the table for each row
    clock = Clock(options.scale)
    results = asyncio.run(play_all(rows, starts(options.side, clock, console), clock, console))
    title = f"The {options.side} is the primary; {options.scale:g} s of the clock are one of a row"
    show(rows, results, title, console)
    ours = [found for name, found in results.items() if name != LITELLM]
    return int(any(right(rows, found) < len(rows) for found in ours))


def starts(side: Side, clock: Clock, console: Console) -> dict[str, Start]:
    """Each proxy by its name. LiteLLM's has no sides, and is played once."""
    found: dict[str, Start] = {
        name: functools.partial(gateway, side=side, clock=clock, uplink=uplink)
        for name, uplink in (("gateway and uplink", True), ("gateway", False))
    }
    if side == "edge":
        return found
    if command := litellm_command():
        found[LITELLM] = functools.partial(litellm, clock=clock, command=command)
    else:
        console.print(f"{LITELLM} is left out: `make litellm` installs it, or LITELLM names it")
    return found


async def play_all(
    rows: Sequence[Row], found: dict[str, Start], clock: Clock, console: Console
) -> dict[str, Results]:
    """The proxies side by side, each with providers of its own; the rows one behind the other."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=None))
        stages = {}
        for name, start in found.items():
            primary, fallback = await stack.enter_async_context(providers())
            proxy = await stack.enter_async_context(start(primary, fallback, folder))
            stages[name] = Stage(proxy, primary, fallback, clock, client)
        played = [play_rows(name, stage, rows, console) for name, stage in stages.items()]
        return dict(zip(stages, await asyncio.gather(*played), strict=True))


async def play_rows(name: str, stage: Stage, rows: Sequence[Row], console: Console) -> Results:
    results = {}
    for row in rows:
        for case in row.cases:
            played = await stage.play(case)
            result = result_of(played, case.right(played, stage.clock))
            results[row.name, case.name] = result
            said = result.wrong or "right"
            console.print(f"{name}: {row.name}, {case.name}: {said}", markup=False, soft_wrap=True)
    return results


if __name__ == "__main__":
    raise SystemExit(main())
