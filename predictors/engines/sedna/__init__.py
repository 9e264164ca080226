"""Code written for KubeEdge Sedna's SDK: its `Estimator` classes, and its big-model workers.

engine     the engine `sedna`: runs an Estimator in this process
estimator  the class: found, made, loaded, called
stand_in   the names of Sedna's library that such code imports, where the library is absent
results    what an Estimator returns -> an answer, probabilities or boxes
worker     the engine `sedna_worker`: asks a worker that Sedna's BigModelService serves
"""

from predictors.engines.sedna.engine import SednaEngine

__all__ = ["SednaEngine"]
