"""Measures how well, how fast and where a running graph answers.

benchmark    a benchmark's YAML, and its questions
asking       puts every question to a graph, so many at a time
outcome      a question, and what became of it
metrics      the table of metrics
load/        load on servers: `hem bench`
comparison   the same questions routed, all edge and all cloud; the table for people
estimating/  from a log to a decision: `hem estimate`

A new metric is a function and a line in METRICS.
"""
