"""An Estimator in a package, which fails at what does not begin with "good"."""

from typing import Any


class Picky:
    def predict(self, data: list[str], **_: Any) -> list[str]:
        if not data[0].startswith("good"):
            raise RuntimeError("not good")
        return [data[0].upper()]
