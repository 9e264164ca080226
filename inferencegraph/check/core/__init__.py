"""What Kubernetes' own API server refuses in the objects that KServe makes: pods above all.

KServe takes most of this in silence, and its controller then fails: the service never becomes
ready. The rules are those of Kubernetes 1.34 (`pkg/apis/core/validation`).

syntax      names, labels, quantities, ports: what a single value looks like
metadata    labels and annotations of any object
pod         a pod's own fields, and the order in which the others are asked
containers  a container's fields
probes      probes and lifecycle handlers
resources   requests and limits
volumes     volumes and their sources
scheduling  tolerations, affinity, spread over nodes
workload    what stands around a pod: replicas, strategy

Each function yields findings of one part that stands at `field`, and doesn't raise for content of
any shape: what isn't of the right type is what `check.fields` reports.
"""
