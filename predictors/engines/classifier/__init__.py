"""Discriminative models: images, texts or tensors in, `probabilities` or `boxes` out.

find       a directory or file -> which kind of model it is, or one clear error
source     what a loaded model is: the tensors that it takes and gives
onnx, torchscript, exported, images, texts, detection     one file per kind of model
head       which output has the classes or boxes, and scores -> probabilities
rows       a request's tensors, checked, and cut to the batch limit
engine     the Engine: one queue, one thread
"""

from predictors.engines.classifier.engine import ClassifierEngine
from predictors.engines.classifier.settings import ClassifierSettings

__all__ = ["ClassifierEngine", "ClassifierSettings"]
