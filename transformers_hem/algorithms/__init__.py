"""What can decide how difficult a query is for the edge model: one file an algorithm.

- base.py        what an algorithm is: `Algorithm`, its parameters, the `Batch` that it scores
- plugins.py     the kind of the table below; plug-ins come in here
- parameters.py  from the strings of a CRD or JSON to typed parameters
- row_fields.py  from the rows of a file to a `Batch`
- vision.py      what threshold.py, ibt.py and cross_entropy.py share
- fixed.py, random.py, oracle.py (the query); confidence.py, self_consistency.py, threshold.py,
  cross_entropy.py, ibt.py (the edge model's answer)

A new algorithm is one file here and one line below. Trained ones are in `transformers_hem.routers`,
whose table is part of this one. An algorithm never applies a threshold.
"""

from transformers_hem.algorithms.plugins import AlgorithmRegistry
from transformers_hem.routers import TRAINED_ROUTERS

ALGORITHMS = AlgorithmRegistry(
    {
        "EdgeOnly": "transformers_hem.algorithms.fixed:EdgeOnly",
        "CloudOnly": "transformers_hem.algorithms.fixed:CloudOnly",
        "Random": "transformers_hem.algorithms.random:Random",
        "OracleRouter": "transformers_hem.algorithms.oracle:OracleRouter",
        "ConfidenceRouter": "transformers_hem.algorithms.confidence:ConfidenceRouter",
        "SelfConsistency": "transformers_hem.algorithms.self_consistency:SelfConsistency",
        "Threshold": "transformers_hem.algorithms.threshold:Threshold",
        "CrossEntropy": "transformers_hem.algorithms.cross_entropy:CrossEntropy",
        "IBT": "transformers_hem.algorithms.ibt:IBT",
        **{name: row.score for name, row in TRAINED_ROUTERS.items()},
    },
    aliases={"RandomRouter": "Random", "BertRouter": "BERTRouter"},
)
