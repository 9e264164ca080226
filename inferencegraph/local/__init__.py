"""Runs manifests as processes of this machine, without a cluster: what `hem up` does.

plan             InferenceServices -> processes, with what KServe would have injected into each
placement        the ports of each container, and the names by which it is reached
containers       a container -> command and environment; the table of images that run here
stack            `running`: from manifests to processes and the graphs' routers, until it is left
process          one service as a child process
watchdog         ends the processes when `hem` itself is gone; a script of its own
observer         what a stack reports while it runs
example_request  what a person can ask a stack that has just become ready
tritonserver     stands in for Triton's image

An image that runs here is a line in LOCAL_COMMANDS of `containers`.
"""
