"""How good a router is, on rows that it was not trained on.

- metrics.py     the table METRICS, and what each is computed from, `ScoredRows`
- quality.py     what an order of queries is worth, and where to cut it
- curve_plot.py  the picture of it: quality over the share of cloud calls

A new metric is a function and one line in METRICS; it then stands in every router's config.json.
"""
