"""What made the digit classifiers. It is not installed, and nothing that is imports it.

data        the images, and which of them nobody may train on
models      both models: how they are fitted, and written as ONNX
train       trains and ships the pair with its threshold (a script)
questions   the test images as rows of a benchmark (a script)
"""
