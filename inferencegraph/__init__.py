"""The roof: joins predictors and mining into InferenceGraphs, and runs them locally."""
