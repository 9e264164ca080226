"""The one-click spec: an LLMJointInferenceService, from a few lines of YAML to a site's values.

fields     the base of every part: strict, camelCase or snake_case, frozen
service    the whole document, and its two workers
sources    where a model comes from
engines    the inference engines, and their configuration blocks
mining     hard-example mining, the gateway
serving    how many, where, and how much: replicas, resources, nodes, images
faults     what is wrong in a document: the field's path, the line, the way out
reading    finds specs among documents, and turns each into objects
resolving  from a spec to the values that inferencegraph.build takes
"""
