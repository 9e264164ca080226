"""BERTRouter and LLMRouter: an encoder or a causal model with a classification head."""
