"""The table of algorithms; a new one is one file here and one line below."""

from transformers_hem.algorithms.registry import AlgorithmRegistry

ALGORITHMS = AlgorithmRegistry(
    {
        "EdgeOnly": "transformers_hem.algorithms.fixed:EdgeOnly",
        "CloudOnly": "transformers_hem.algorithms.fixed:CloudOnly",
        "Random": "transformers_hem.algorithms.random:Random",
        "OracleRouter": "transformers_hem.algorithms.oracle:OracleRouter",
        "LinearRouter": "transformers_hem.routers.linear.score:LinearRouter",
        "CombinedRouter": "transformers_hem.routers.combined.score:CombinedRouter",
        "KNNRouter": "transformers_hem.routers.knn.score:KNNRouter",
        "BERTRouter": "transformers_hem.routers.classifier.score:BERTRouter",
        "LLMRouter": "transformers_hem.routers.classifier.score:LLMRouter",
        "KernelRouter": "transformers_hem.routers.kernel.score:KernelRouter",
        "ConfidenceRouter": "transformers_hem.algorithms.confidence:ConfidenceRouter",
        "SelfConsistency": "transformers_hem.algorithms.self_consistency:SelfConsistency",
        "Threshold": "transformers_hem.algorithms.threshold:Threshold",
        "CrossEntropy": "transformers_hem.algorithms.cross_entropy:CrossEntropy",
        "IBT": "transformers_hem.algorithms.ibt:IBT",
    },
    aliases={"RandomRouter": "Random", "BertRouter": "BERTRouter"},
)
