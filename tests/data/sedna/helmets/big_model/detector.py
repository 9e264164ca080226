"""A big detector as for Sedna's SDK: two boxes an image, both of them sure."""

import numpy as np


class Estimator:
    def load(self, model_url=""):
        self.loaded = True

    def predict(self, data, **kwargs):
        height, width, _ = np.array(data).shape
        return [[0.0, 0.0, width, height, 0.99, 2], [0.0, 0.0, 1.0, 1.0, 0.98, 3]]
