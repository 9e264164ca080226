"""Puts objects on a cluster, and tells what runs there: `hem apply`, `hem delete`, `hem status`.

connection    a kubeconfig's cluster, with retries of what may be asked twice
api           the calls of Kubernetes' API that are needed here; kinds are looked up, not guessed
failures      what a refused or failed call becomes: one clear message
sources       manifests and specs from files, checked, ready to be sent
owners        whose an object is: the label by which it is pruned, deleted and found
order         which kind comes first
references    Secrets, ConfigMaps, claims and accounts that are named, and whether they exist
foreseen      what KServe would make, asked of the API server before anything is changed
steps         objects on their way: their kind on the cluster, their namespace
judging       what the API server says of objects, as findings (`hem validate --server`)
definitions   the CRDs that a cluster has of their kinds
applying      server-side apply of all or nothing, as far as that is possible; pruning
difference    what would change in an object, as text
deleting      everything with one owner's label, in reverse order
observing     the objects that a status is read from: listed once, or watched
pods          why a pod does not run
components    the condition of each part of a site: Pending, Running or Failed, and why
telemetry     what the pods' metrics say, read through the API server's proxy
promise       the share at the edge and the cost, with intervals, and whether a promise may hold
status        the status of a service as the owner's document has it; stored on request
table         the same for people
waiting       until all parts run

Kubernetes' own client is the library, for three reasons: KServe's SDK brings it along, it reads
all that kubectl's configuration may hold (several files, login plugins of every version), and its
transport (urllib3) waits for Retry-After and asks again where a connection drops.
"""
