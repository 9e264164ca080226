"""Measures how well, how fast and where a running graph answers.

benchmark    a benchmark's YAML, and its questions
asking       puts every question to a graph, so many at a time
outcome      a question, and what became of it
metrics      the table of metrics
load/        load on servers: `hem bench`
run          a whole benchmark: asked, scored, replayed
leaderboard  the table for people, and rank.csv
report/      the page of one, with its charts
importing/   rows of logs and data sets of others: `hem import`
estimating/  from a log to a decision: `hem estimate`

A new metric is a function and a line in METRICS.
"""
