"""A big model as for Sedna's SDK: it answers in capitals, in a list."""

from sedna.common.class_factory import ClassFactory, ClassType


@ClassFactory.register(ClassType.GENERAL, alias="BigModel")
class Estimator:
    def load(self, model_url=""):
        self.loaded = True

    def predict(self, data, **kwargs):
        text = data[0] if isinstance(data, (list, tuple)) else data
        return [text.upper()]
