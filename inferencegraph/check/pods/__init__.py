"""What Kubernetes refuses in a pod template, a Service or an autoscaler, beyond its schema.

syntax      how names, labels and paths are written
quantities  amounts: 250m, 2Gi
parts       reading lists; choices, ranges, required and unique values
template    the pod as a whole
containers  names, images, ports, mounts; environment, probes, resources, security: their own files
volumes     volumes and their sources
scheduling  tolerations, affinity, spread over nodes
workloads   a Deployment's strategy, a Service's ports, an autoscaler's target

The rules are those of Kubernetes 1.34 (pkg/apis/core/validation and its siblings), where every
field that a `default` of the API server fills may be absent. A rule takes a part and the field at
which it stands, and tells findings with fields relative to the pod's spec. None raises for content
of any shape: wrong types are another check's to report.
"""
