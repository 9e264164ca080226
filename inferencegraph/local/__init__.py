"""Manifests as local processes: what `hem up` runs."""
