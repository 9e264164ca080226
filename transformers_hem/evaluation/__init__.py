"""Metrics of routers, and the curve of what each share of cloud calls is worth."""
