"""Runs manifests as processes of this machine, without a cluster: what `hem up` does.

plan             InferenceServices -> processes, with what KServe would have injected into each
overrides        what the caller changes in manifests: --set, --router, the shell
own_settings     which settings the servers of this project take
placement        the ports of each container, and the names by which it is reached
containers       a container -> command and environment; the table of images that run here
selection        which of the objects in manifests run here
stack            `running`: from manifests to processes and the graphs' routers, until it is left
ports            ports of graphs, held from the start on, and free ones
consequences     what it means for answers that a service is gone
backoff          how long a dead service waits before it starts again
far_sides        what services say of the servers that they call
process          one service as a child process
watchdog         ends the processes when `hem` itself is gone; a script of its own
observer         what a stack reports while it runs
example_request  what a person can ask a stack that has just become ready
tritonserver     stands in for Triton's image

An image that runs here is a line in LOCAL_COMMANDS of `containers`.
"""
