"""Neural encoders in Hugging Face format, run by onnxruntime or torch: texts in, numbers out."""
