"""A little model as for Sedna's SDK: it answers with a phrase from its model file."""

import logging
import os

from sedna.common.config import Context

LOG = logging.getLogger(__name__)
os.environ["BACKEND_TYPE"] = "TORCH"
punctuation = Context.get_parameters("punctuation", "?")


class Estimator:
    def __init__(self, **kwargs):
        self.phrase = None

    def load(self, model_path=""):
        with open(model_path or os.environ["MODEL_URL"]) as file:
            self.phrase = file.read().strip()
        LOG.info("Model loaded successfully.")

    def predict(self, data, **kwargs):
        text = data[0] if isinstance(data, (list, tuple)) else data
        words = f"{self.phrase} {text}".split()
        return " ".join(words[: int(kwargs.get("max_new_tokens", 50))]) + punctuation
