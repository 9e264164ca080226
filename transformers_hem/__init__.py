"""First floor: decides. The hard-example mining (HEM) transformer, its algorithms and training.

serving/       the transformer as a server; the one place that applies a threshold
gateway/       OpenAI's API in front of a site
reload/        what decides changes while a server runs
strategies/    how both models make one answer, in the mode self-design
algorithms/    scores of queries and answers that are not trained
routers/       trained routers: score, files and learner of each
guards/        rules that overrule a score
labels/        training rows: who answers a query well
calibration/   thresholds and what they promise
evaluation/    metrics of routers
feedback/      decisions, and what was said of them
lifelong/      learning from use: champion against challenger
versions/      a folder with versions of a router, and a pointer to one
retraining/    `hem retrain`
embedded/      shipped routers

`__main__` is `python -m transformers_hem`. This floor imports `predictors`, never `inferencegraph`.
"""
