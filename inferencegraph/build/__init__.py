"""From values to manifests: pods, services, graphs, and the runtimes that ship.

sites         what a site is made from, as values
graph         the two InferenceGraphs, and the only place that writes their conditions
mining        how HEM decides there, as values
services      the InferenceServices of a site, and of the cloud that sites share
hem_pods      HEM's pods: its container with all that it reads
pods          what every pod of ours has in common
learning      feedback's store, the volume with a router's versions, and the jobs that retrain it
engine_pods   what a model's pod holds, by engine
engine_table  how each inference engine's own server is started
engine_containers  such a server as a container
accelerators  GPUs of other vendors: resources, images, options
runtimes      writes manifests/runtimes
"""
