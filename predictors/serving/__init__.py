"""One engine as a KServe predictor: the server, its limits in front of it, and its settings."""
