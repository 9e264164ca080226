"""Fixtures of this floor."""

from tests.transformers_hem.encoder_routers import (
    encoder_routers as encoder_routers,
    minilm as minilm,
)
from tests.transformers_hem.stores import place as place, postgresql as postgresql
