"""Rules that overrule a score; a new one is one file here and one line below."""

from predictors.registry import Registry
from transformers_hem.guards.base import Guard

GUARDS: Registry[Guard] = Registry(
    "guard",
    {"ResourceSensitiveRouter": "transformers_hem.guards.resources:ResourceSensitiveRouter"},
)
