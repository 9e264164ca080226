"""The table of algorithms; a new one is one file here and one line below."""

from predictors.registry import Registry
from transformers_hem.algorithms.base import Algorithm

ALGORITHMS: Registry[Algorithm] = Registry(
    "algorithm",
    {
        "EdgeOnly": "transformers_hem.algorithms.fixed:EdgeOnly",
        "CloudOnly": "transformers_hem.algorithms.fixed:CloudOnly",
        "Random": "transformers_hem.algorithms.random:Random",
        "LinearRouter": "transformers_hem.algorithms.linear:LinearRouter",
        "ConfidenceRouter": "transformers_hem.algorithms.confidence:ConfidenceRouter",
    },
)
