"""The one-click spec: an LLMJointInferenceService, from a few lines of YAML to a site's values.

fields     the base of every part: strict, camelCase or snake_case, frozen
service    the whole document, and its two workers
sources    where a model comes from
engines    the inference engines, and their configuration blocks
mining     hard-example mining, the gateway
serving    how many, where, and how much: replicas, resources, nodes, images
learning   where feedback is kept, and when the router is retrained on it
operations what is rendered besides: ways in, network policies, metrics
faults     what is wrong in a document: the field's path, the line, the way out
kinds      which objects are specs, and what is read with them
reading    finds specs among documents
expanding  turns each into objects, with the Models beside it
resolve/   from parts of a spec to the values that inferencegraph.build takes
rendering  from a whole one to its objects
templates  what of a worker's pod template is a field of the spec, and what is not carried over
origins    which field a rendered line comes from
own_algorithm  a user's own algorithm or strategy, judged without being run
report     what becomes of each field of another system's file
models, sedna, ianvs  Sedna's Models and services, and Ianvs's test algorithms, as specs
"""
