"""Guards: rules that overrule a score. A new one is one file here and one line in the table below.

base           what a guard is
admission      counts what goes to the cloud, once, for the guards that count
availability   at the edge while the cloud is down
buckets        so many at once, and so many a second, of each client
budget         at the edge once what may be spent is spent
languages      to a side by the language of a query
maintenance    to a side while somebody says so
placeholders   what stands for private items in what leaves
privacy        at the edge, where there is something private
rate           at the edge once a client has called the cloud as often as it may
resources      to the cloud while the edge is short of resources
topics         to a side by words and patterns
settings       reads HEM_GUARDS
windows        windows of time, as settings write them
"""

from predictors.registry import Registry
from transformers_hem.guards.base import Guard

GUARDS: Registry[Guard] = Registry(
    "guard",
    {
        "AvailabilityGuard": "transformers_hem.guards.availability:AvailabilityGuard",
        "BudgetGuard": "transformers_hem.guards.budget.guard:BudgetGuard",
        "LanguageGuard": "transformers_hem.guards.languages:LanguageGuard",
        "MaintenanceGuard": "transformers_hem.guards.maintenance:MaintenanceGuard",
        "PrivacyGuard": "transformers_hem.guards.privacy.guard:PrivacyGuard",
        "RateGuard": "transformers_hem.guards.rate:RateGuard",
        "ResourceSensitiveRouter": "transformers_hem.guards.resources:ResourceSensitiveRouter",
        "TopicGuard": "transformers_hem.guards.topics:TopicGuard",
    },
    {"LanguageGuard": "languages", "PrivacyGuard": "privacy", "TopicGuard": "privacy"},
)
