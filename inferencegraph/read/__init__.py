"""Reads manifests from files, folders and kustomizations, as kubectl would take or refuse them.

documents     Kubernetes YAML of one file, with errors that name file and line; MANIFESTS
kustomize     `load`: the objects of a file, a folder or a kustomization
transformers  the table of kustomization fields that change objects
selection     which entries, objects and fields a kustomization names

Of kustomize only what manifests of this project need is done here; any other field is refused.
"""
