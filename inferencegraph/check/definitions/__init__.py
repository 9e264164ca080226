"""Objects by the CustomResourceDefinitions of a folder: the whole schema of their kind.

reading     CRDs in files, as YAML or JSON, gzipped or not
schema      a structural schema of Kubernetes as JSON Schema, as strict as the API server
definition  one kind in one version, and the findings in an object of it
wording     what a violation of the schema becomes: what is wrong, and the way out
checking    the findings of an object, by whatever definition it has

The rules in CEL (x-kubernetes-validations) are not evaluated, and a note says so.
"""
