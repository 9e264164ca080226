"""The table of algorithms; a new one is one file here and one line below."""

from transformers_hem.algorithms.registry import AlgorithmRegistry

ALGORITHMS = AlgorithmRegistry(
    {
        "EdgeOnly": "transformers_hem.algorithms.fixed:EdgeOnly",
        "CloudOnly": "transformers_hem.algorithms.fixed:CloudOnly",
        "Random": "transformers_hem.algorithms.random:Random",
        "OracleRouter": "transformers_hem.algorithms.oracle:OracleRouter",
        "LinearRouter": "transformers_hem.algorithms.linear:LinearRouter",
        "CombinedRouter": "transformers_hem.algorithms.combined:CombinedRouter",
        "KNNRouter": "transformers_hem.algorithms.knn:KNNRouter",
        "BERTRouter": "transformers_hem.algorithms.bert:BERTRouter",
        "LLMRouter": "transformers_hem.algorithms.bert:LLMRouter",
        "KernelRouter": "transformers_hem.algorithms.kernel:KernelRouter",
        "ConfidenceRouter": "transformers_hem.algorithms.confidence:ConfidenceRouter",
        "SelfConsistency": "transformers_hem.algorithms.self_consistency:SelfConsistency",
        "Threshold": "transformers_hem.algorithms.threshold:Threshold",
        "CrossEntropy": "transformers_hem.algorithms.cross_entropy:CrossEntropy",
        "IBT": "transformers_hem.algorithms.ibt:IBT",
    },
    aliases={"RandomRouter": "Random", "BertRouter": "BERTRouter"},
)
