"""CombinedRouter: a linear router and the edge model's telemetry together."""
