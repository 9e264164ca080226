"""Fixtures of this floor."""

from tests.transformers_hem.encoder_routers import (
    encoder_routers as encoder_routers,
    minilm as minilm,
)
