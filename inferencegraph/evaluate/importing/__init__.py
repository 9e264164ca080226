"""Importers: what others have logged or published, as rows; the table of formats.

rows.py      the one shape of rows, and how they are made
importer.py  what an importer is
run.py       one import: from files to a file of rows
files.py     records of JSON Lines, JSON arrays and CSV files
chats.py     conversations and answers as OpenAI's API has them
choices.py   questions with options, and examples in front of them
index.py     joins files by a key, on disk
drawing.py   remembers texts in little memory, draws from a stream
redacting.py  rows without what is private in them
report.py    what was left out, and where

All others read a format, and are named by it. A new one is a file here, and a line below.
"""

from inferencegraph.evaluate.importing.importer import Importer
from predictors.registry import Registry

_HERE = "inferencegraph.evaluate.importing"

FORMATS: Registry[Importer] = Registry(
    "format",
    {
        "openai-chat": f"{_HERE}.openai_chat:OpenAIChat",
        "openai-batch": f"{_HERE}.openai_batch:OpenAIBatch",
        "litellm": f"{_HERE}.litellm:LiteLLM",
        "semantic-router": f"{_HERE}.semantic_router:SemanticRouter",
        "ianvs": f"{_HERE}.ianvs:Ianvs",
        "mmlu": f"{_HERE}.mmlu:MMLU",
        "cmmlu": f"{_HERE}.cmmlu:CMMLU",
        "gsm8k": f"{_HERE}.gsm8k:GSM8K",
        "mt-bench": f"{_HERE}.mt_bench:MTBench",
        "mixinstruct": f"{_HERE}.mixinstruct:MixInstruct",
        "routerbench": f"{_HERE}.routerbench:RouterBench",
        "routerarena": f"{_HERE}.routerarena:RouterArena",
        "llmrouter": f"{_HERE}.llmrouter:LLMRouter",
        "text": f"{_HERE}.text:Text",
        "images": f"{_HERE}.images:Images",
    },
)
