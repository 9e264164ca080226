"""Guards: rules that overrule a score. A new one is one file here and one line in the table below.

base        what a guard is
placeholders  what stands for private items in what leaves
privacy     at the edge, where there is something private
resources   to the cloud while the edge is short of resources
settings    reads HEM_GUARDS
"""

from predictors.registry import Registry
from transformers_hem.guards.base import Guard

GUARDS: Registry[Guard] = Registry(
    "guard",
    {
        "PrivacyGuard": "transformers_hem.guards.privacy.guard:PrivacyGuard",
        "ResourceSensitiveRouter": "transformers_hem.guards.resources:ResourceSensitiveRouter",
    },
    {"PrivacyGuard": "privacy"},
)
