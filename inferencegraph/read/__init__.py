"""Reads manifests from files, folders and kustomizations, as kubectl would take or refuse them.

documents      Kubernetes YAML of one file, with errors that name file and line; MANIFESTS
kustomize      `load`: the objects of a file, a folder or a kustomization
kustomization  one kustomization.yaml and its fields
foreign        refuses what a kustomization would fetch or run
tool           kubectl or kustomize, which build kustomizations where they are on the PATH
core           builds the plain ones where neither is
"""
