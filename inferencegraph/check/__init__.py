"""What is wrong in manifests: `validate` lists it, `refuse` and `refuse_graph` raise it.

validate      the table of checks, by kind, and the entries of this room
problem       what a check gets and gives
containers    reading values out of manifests; accelerators
definitions   objects by the CRDs of a folder (--crds), by their whole schema
fields        misspelt, missing and mistyped fields
kserve_types  the fields of KServe's kinds, as data
names         names of objects, the deployment mode
graphs        InferenceGraphs: nodes and steps, and the services that steps name
conditions    conditions of steps, by their text; condition_paths: by what their paths ask for
rewriting     the gjson path that somebody meant
places        paths that only this machine has
services      InferenceServices, and the ServingRuntimes that they name
storage       where a model comes from
refused       what Kubernetes refuses of the objects that KServe makes of a manifest:
              reconciled/ makes these objects, pods/ has the rules

A check is a function `(content, others) -> findings` in one of these files or in a new one, and a
name in CHECKS of `validate`. It must not raise for content of any shape: wrong types are what
`fields` reports.
"""
