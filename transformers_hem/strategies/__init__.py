"""How both models make one answer together, in the mode self-design: one file a strategy.

- base.py         what a strategy is: `Strategy`, and the `Turn` that it sees
- plugins.py      the kind of the table below; plug-ins come in here
- refine.py       the cloud gets the edge's answer as a draft, and makes it better
- speculative.py  the edge's own engine drafts tokens, which the cloud checks

A new strategy is one file here and one line below.
"""

from transformers_hem.strategies.plugins import StrategyRegistry

STRATEGIES = StrategyRegistry(
    "strategy",
    {
        "refine": "transformers_hem.strategies.refine:Refine",
        "speculative": "transformers_hem.strategies.speculative:Speculative",
    },
)
