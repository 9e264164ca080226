"""OpenCompass: its own MMLU and CMMLU (five shots, free answers) against a site's gateway.

COMPASS_DATA_CACHE names the folder that has data/mmlu and data/cmmlu.
"""

import os

from mmengine.config import read_base

with read_base():
    from opencompass.configs.datasets.cmmlu.cmmlu_gen_c13365 import cmmlu_datasets
    from opencompass.configs.datasets.mmlu.mmlu_gen_4d595a import mmlu_datasets

from opencompass.models import OpenAISDK

GATEWAY = os.environ.get("GATEWAY", "http://127.0.0.1:8180/v1")
# With a side's name that model alone answers.
MODEL = os.environ.get("MODEL", "qa")
TOKENIZER = os.environ["TOKENIZER"]  # a directory; OpenCompass counts tokens by it
SUBJECTS = ("miscellaneous", "elementary_commonsense")

datasets = [one for one in (*mmlu_datasets, *cmmlu_datasets) if one["name"] in SUBJECTS]
models = [
    dict(
        abbr=MODEL,
        type=OpenAISDK,
        path=MODEL,
        openai_api_base=GATEWAY,
        key=os.environ.get("GATEWAY_KEY", "-"),
        tokenizer_path=TOKENIZER,
        meta_template=dict(
            round=[
                dict(role="HUMAN", api_role="HUMAN"),
                dict(role="BOT", api_role="BOT", generate=True),
            ]
        ),
        temperature=0,
        max_seq_len=8192,
        max_out_len=16,
        query_per_second=50,
        batch_size=4,
        retry=2,
    )
]

del os  # what is left is written down as the run's configuration
