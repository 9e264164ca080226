"""What KServe 0.20 makes of manifests in Standard mode, as data; nothing asks a cluster.

installation  what the installation decides: namespace, domain, images
merging       a ServingRuntime's container and pod under a service's own (strategic merge)
runtimes      which ServingRuntime serves a model
components    an InferenceService -> its components: predictor, worker, transformer
graphs        an InferenceGraph -> the component that routes
component     a component: its pod, and where in the user's object each part of it stands
objects       a component -> Deployment, Services, HorizontalPodAutoscaler; a service's Ingress

A test compares it with what the controller itself made.
"""
