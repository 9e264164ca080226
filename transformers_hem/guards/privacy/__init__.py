"""Finds what is private in texts, and keeps the requests that hold it at the edge.

base            what a detector is, and what it finds
normalising     one way of writing for the many of Unicode, with the way back to the original
numbers         runs of digits, which several detectors judge
email, phone, card, iban, national_ids, secrets, network   a detector each
presidio        names of people and places, by a model of the user's
own             the user's own patterns and words
detectors       all of them: one pass that finds candidates, then those that judge them
leaving         all texts of a request
hiding          replaces items by placeholders
redacting       a request's body with placeholders for what is private in it
guard           the guard
measuring       precision and recall on texts whose private items are known

A new detector is one file here and one line in the table below.
"""

from predictors.registry import Registry
from transformers_hem.guards.privacy.base import Detector

_HERE = "transformers_hem.guards.privacy"

DETECTORS: Registry[Detector] = Registry(
    "kind of private item",
    {
        "card": f"{_HERE}.card:Cards",
        "email": f"{_HERE}.email:Emails",
        "iban": f"{_HERE}.iban:Ibans",
        "ip_address": f"{_HERE}.network:IPAddresses",
        "location": f"{_HERE}.presidio:Locations",
        "mac_address": f"{_HERE}.network:MACAddresses",
        "national_id": f"{_HERE}.national_ids:NationalIds",
        "person": f"{_HERE}.presidio:Persons",
        "phone": f"{_HERE}.phone:Phones",
        "secret": f"{_HERE}.secrets:Secrets",
    },
    {
        **dict.fromkeys(("card", "iban", "national_id", "phone"), "privacy"),
        **dict.fromkeys(("location", "person"), "presidio"),
    },
)
