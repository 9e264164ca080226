"""Discriminative models: images, texts or tensors in, `probabilities` or `boxes` out.

engine       the Engine: one queue, one thread
settings     its options
find         a directory or file -> which kind of model it is, or one clear error
source       what a loaded model of any kind is: the tensors that it takes and gives
onnx         ONNX files
torch_files  TorchScript and torch.export files
pretrained   Hugging Face directories for images, texts and detection
rows         a request's tensors: checked, cut to the batch limit, joined again
head         which output has the classes or boxes, and scores -> probabilities

A new kind of model is a subclass of Source and one line in the table SOURCES of `find`.
"""

from predictors.engines.classifier.engine import ClassifierEngine
from predictors.engines.classifier.settings import ClassifierSettings

__all__ = ["ClassifierEngine", "ClassifierSettings"]
