"""What each rule of `hem validate` is about: its name in findings, and one line."""

from typing import Final

SERVER: Final = "server"
SERVER_PODS: Final = "server-pods"
RULES: Final = {
    "kind": "apiVersion and kind belong together, and each object is there once",
    "metadata": "labels and annotations as Kubernetes takes them",
    "spec": "a one-click spec: its fields, and what can be rendered of them",
    "sedna": "what of a file of Sedna's or Ianvs's has no counterpart",
    "fields": "misspelt, missing and mistyped fields; quantities",
    "schema": "the whole schema of a kind's CRD (--crds)",
    "name": "names, with the room that KServe's own names need",
    "deployment-mode": "the annotation that asks for plain Deployments",
    "graph": "an InferenceGraph's nodes, steps, conditions and weights",
    "calls": "the services that a graph's steps name",
    "components": "a component's containers: protocol, workers, readiness",
    "model": "a predictor's model: its storage, its runtime, its format",
    "multi-node": "a model over several nodes",
    "runtime": "a ServingRuntime's containers and formats",
    "places": "paths that only this machine has",
    "webhook": "what KServe's webhook refuses: one implementation, replicas, autoscaling, storage",
    "feedback": "a file with feedback has one replica that writes it, and is where that runs",
    "storage": "storage URIs: their schemes, their claims",
    "selection": "a model's format, and a runtime that takes it by itself",
    "service-pods": "what Kubernetes refuses of the Deployments, Services and autoscalers that "
    "KServe makes of a service",
    "graph-pods": "the same of a graph's router",
    "object-name": "names of Kubernetes' own kinds, and of routes and monitors",
    "cron-job": "what Kubernetes refuses of a CronJob: schedule, policies, its pods",
    "job": "the same of a Job",
    "disruption-budget": "what Kubernetes refuses of a PodDisruptionBudget",
    "network-policy": "the same of a NetworkPolicy: peers, ports, addresses",
    "ingress": "the same of an Ingress: hosts, paths, backends",
    "runtime-pods": "the same of a ServingRuntime's pods",
    SERVER: "what the cluster's API server says of an object, as a dry run (--server)",
    SERVER_PODS: "what it says of the Deployments, Services and autoscalers that KServe would make",
}
