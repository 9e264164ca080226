"""Neural encoders in Hugging Face format: texts in, numbers out; for kernel, knn and classifier.

- directory.py      a model's directory, checked before anything heavy is loaded
- network.py        what runs a model, abstractly: padded token rows in, one output out
- onnx_network.py   by onnxruntime, for edge nodes without torch
- torch_network.py  by torch; what a model's served output is
- runner.py         queries to token rows; opens a network, and runs it for many threads
- router.py         `EncoderRouter`, which the three derive from, and its config.json
- training.py       `EncoderLearner`, which their learners derive from
- export.py         writes model.onnx (needs torch, onnx and onnxscript)

torch is imported in torch_network.py and export.py alone, onnxruntime in onnx_network.py and
export.py.
"""
