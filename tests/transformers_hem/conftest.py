"""Fixtures of this floor."""

from tests.encoder_routers import encoder_routers as encoder_routers
from tests.encoder_routers import minilm as minilm
