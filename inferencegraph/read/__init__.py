"""Manifests from files, folders and kustomizations."""
