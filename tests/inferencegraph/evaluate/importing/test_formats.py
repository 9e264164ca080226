"""What each importer makes of a file in the layout that its source publishes."""

from pathlib import Path
from typing import Any

import pytest

from inferencegraph.evaluate.importing import FORMATS
from inferencegraph.evaluate.importing.rows import FIELDS, Pair
from tests.inferencegraph.evaluate.importing import SAMPLES, SMALL_AND_BIG, imported

LOGGED = {"cloud_prompt_tokens": 12, "cloud_completion_tokens": 5, "time": 1735689600.0}
DIARY = {"role": "system", "content": "You keep a small garden's diary."}
SKY = {"reference": "B", "scorer": "multiple_choice", "category": "garden_lore"}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def named(rows: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """By id, without it."""
    return {row.pop("id"): row for row in rows}


def test_chats_of_openai(tmp_path: Path) -> None:
    rows, report = imported(tmp_path, "openai-chat", "openai_chat.jsonl")
    found = named(rows)
    assert found["openai_chat-1"] == {
        "query": "When are beans sown?",
        "cloud_answer": "In May, after the last frost.",
    }
    assert found["openai_chat-2"] == {
        "query": "And leeks?",
        "messages": [
            DIARY,
            user("Which soil do carrots like?"),
            assistant("A sandy one."),
            user("And leeks?"),
        ],
        "cloud_answer": "A heavy one.",
    }
    big = {"cloud_model": "big-model-2025"}
    first = {"query": "Name a root vegetable.", "cloud_answer": "Parsnip."}
    assert found["chatcmpl-a1"] == first | big | LOGGED
    cut = {"query": "How are tomatoes watered?", "cloud_answer": "Water them in the"}
    assert found["chatcmpl-b2"] == cut | big | LOGGED | {"truncated": True}
    assert found["chatcmpl-c3"] == {"query": "What is the weather in Ghent?"} | big
    tools = found["openai_chat-6"]
    assert tools["query"] == "Rain tomorrow?" and tools["cloud_answer"] == "No, it stays dry."
    assert [turn["role"] for turn in tools["messages"]] == ["user", "assistant", "tool"]
    assert report.left_out == {
        "images or other parts in messages": 1,
        "no message of a user": 1,
        "an empty query": 1,
        "no messages": 1,
    }
    assert report.first("no message of a user") == [f"{SAMPLES / 'openai_chat.jsonl'}, line 8"]


def test_system_prompts_are_dropped_where_that_is_asked_for(tmp_path: Path) -> None:
    rows, _ = imported(tmp_path, "litellm", "litellm.jsonl", keep_system=False)
    assert "messages" not in named(rows)["req-1"]


def test_a_batch_of_openai_is_joined_in_the_order_of_its_questions(tmp_path: Path) -> None:
    files = ("openai_batch_output.jsonl", "openai_batch_input.jsonl")
    rows, report = imported(tmp_path, "openai-batch", *files)
    assert [(row["id"], row.get("cloud_answer")) for row in rows] == [
        ("q1", "About ten centim"),
        ("q2", None),
        ("q3", "Yes, a lot."),
        ("q4", None),
    ]
    assert rows[0]["truncated"] is True
    output = SAMPLES / "openai_batch_output.jsonl"
    assert report.first("with a request that failed") == [f"{output}, line 3: status 500"]
    assert report.first("with an answer whose question is in no input file") == [
        f"{output}, line 4"
    ]
    assert report.noted["without an answer in the output files"] == 1


GARLIC = {
    "query": "When is garlic planted?",
    "messages": [DIARY, user("When is garlic planted?")],
    "cloud_answer": "In autumn.",
    "cloud_model": "big",
    "cloud_time_to_first_token": 0.25,
    "cloud_latency": 1.5,
    "cloud_cost": 0.00021,
} | LOGGED


@pytest.mark.parametrize("file", ["litellm.jsonl", "litellm.csv"])
def test_spend_logs_of_litellm_are_the_same_from_jsonl_and_csv(tmp_path: Path, file: str) -> None:
    rows, report = imported(tmp_path, "litellm", file)
    found = named(rows)
    assert found["req-1"] == GARLIC
    assert found["req-2"]["cloud_cost"] == 0  # "0", a text
    assert "cloud_time_to_first_token" not in found["req-2"]  # it came with the last one
    assert report.left_out["no messages"] == 1


def test_the_models_of_logs_are_sides_and_others_are_left_out(tmp_path: Path) -> None:
    rows, report = imported(tmp_path, "litellm", "litellm.jsonl", pair=Pair("small", "big"))
    assert named(rows)["req-2"] == {
        "query": "How long do peas take?",
        "edge_answer": "Three months.",
        "edge_model": "small",
        "edge_prompt_tokens": 12,
        "edge_completion_tokens": 5,
        "edge_latency": 0.9,
        "edge_cost": 0.0,
        "time": 1735689600.0,
    }
    assert named(imported(tmp_path, "litellm", "litellm.jsonl")[0]).keys() == {
        "req-1",
        "req-2",
        "req-5",
    }
    rows, report = imported(tmp_path, "litellm", "litellm.jsonl", pair=Pair("small"))
    assert [row["id"] for row in rows] == ["req-2"]
    assert report.left_out["an answer of another model"] == 2


def test_replay_records_of_the_semantic_router(tmp_path: Path) -> None:
    rows, report = imported(tmp_path, "semantic-router", "semantic_router.jsonl")
    beer, loam = rows
    common = {"category": "biology", "cloud_latency": 1.5, "cloud_cost": 0.00021} | LOGGED
    assert beer == {"id": "replay-1", "query": "Do slugs like beer?"} | common | {
        "cloud_answer": "They do.",
        "cloud_model": "big",
    }
    assert loam == {"id": "replay-2", "query": "What is loam?", "cloud_model": "small"} | common | {
        "truncated": True
    }
    assert report.left_out == {
        "a query that the router cut": 1,
        "a request that failed": 1,
        "no request": 1,
    }


def test_a_data_set_of_ianvs_with_its_metadata(tmp_path: Path) -> None:
    rows, report = imported(tmp_path, "ianvs", "ianvs")
    assert rows[0]["scorer"] == "multiple_choice" and rows[0]["reference"] == "B"
    assert rows[0]["category"] == "vegetables"
    assert rows[1] == {
        "id": "data-2",
        "query": "Name a berry that is red.",
        "reference": "Raspberry",
        "category": "gardening",
    }
    assert rows[2]["messages"][0] == {"role": "system", "content": "Answer in one word."}
    assert report.left_out == {"missing fields": 1}
    rows, _ = imported(tmp_path, "ianvs", "ianvs", options=["split=train"])
    assert [row["reference"] for row in rows] == ["Apple trees"]


def test_mmlu_with_examples_is_the_published_prompt(tmp_path: Path) -> None:
    rows, report = imported(tmp_path, "mmlu", "mmlu", options=["shots=2"])
    assert rows[0] == {
        "id": "garden_lore_test-1",
        "query": """\
The following are multiple choice questions (with answers) about garden lore.

Which plant climbs?
A. Bean
B. Beet
C. Cress
D. Onion
Answer: A

Which fruit has a stone?
A. Apple
B. Pear
C. Cherry
D. Fig
Answer: C

What do bees, in a hive,
make?
A. Honey
B. Milk
C. Silk
D. Wax paper
Answer:""",
        "reference": "A",
        "choices": ["Honey", "Milk", "Silk", "Wax paper"],
        "scorer": "multiple_choice",
        "category": "garden_lore",
    }
    assert report.left_out == {"an answer that is no option's letter": 1, "missing columns": 1}


def test_mmlu_without_examples_is_the_question_alone(tmp_path: Path) -> None:
    rows, _ = imported(tmp_path, "mmlu", "mmlu")
    assert (
        rows[1]["query"]
        == 'Which of "these" is a nut?\nA. Hazel\nB. Rose\nC. Lily\nD. Ivy\nAnswer:'
    )
    with_five, _ = imported(tmp_path, "mmlu", "mmlu", options=["shots=5"])
    assert with_five[1]["query"].count("\nAnswer: ") == 5


def test_cmmlu_with_an_example_is_the_published_prompt(tmp_path: Path) -> None:
    rows, _ = imported(tmp_path, "cmmlu", "cmmlu", options=["shots=1"])
    assert (
        rows[1]["query"]
        == """\
以下是单项选择题，请直接给出正确答案的选项。

题目：哪种植物会攀爬
A. 豆
B. 甜菜
C. 水芹
D. 洋葱
答案是：A

题目：哪一个会飞
A. 蚯蚓
B. 黄蜂
C. 蜗牛
D. 蛞蝓
答案是："""  # noqa: RUF001
    )
    assert rows[1]["reference"] == "B" and rows[1]["category"] == "garden"


def test_gsm8k(tmp_path: Path) -> None:
    rows, report = imported(tmp_path, "gsm8k", "gsm8k.jsonl")
    assert rows[0] == {
        "id": "gsm8k-1",
        "query": "A row holds 12 leeks. How many do 100 rows hold?",
        "reference": "1200",
        "scorer": "numeric",
    }
    assert rows[1]["reference"] == "14"
    assert sum(report.left_out.values()) == 2


def test_questions_of_mt_bench_with_single_judgments(tmp_path: Path) -> None:
    rows, report = imported(tmp_path, "mt-bench", "mt_bench", pair=SMALL_AND_BIG)
    assert rows[0] == {
        "id": 81,
        "query": "Write two lines about a pear.",
        "category": "writing",
        "edge_score": 6.0,
        "edge_answer": "Green and sweet.",
        "edge_model": "small",
        "cloud_score": 9.0,
        "cloud_model": "big",
    }
    assert rows[1]["reference"] == "42" and rows[1]["cloud_score"] == 10  # "10", a text
    assert report.left_out == {"no answer of a model of the pair": 1}  # the judge's score is -1
    mean, _ = imported(tmp_path, "mt-bench", "mt_bench", pair=SMALL_AND_BIG, options=["turns=mean"])
    assert (mean[0]["edge_score"], mean[0]["cloud_score"]) == (5, 8.5)


def test_questions_of_mt_bench_with_judgments_of_the_pair(tmp_path: Path) -> None:
    rows, _ = imported(
        tmp_path, "mt-bench", "mt_bench", pair=SMALL_AND_BIG, options=["judged=pair"]
    )
    assert [row["winner"] for row in rows] == ["cloud", "tie", "edge"]


def test_mixinstruct(tmp_path: Path) -> None:
    rows, report = imported(tmp_path, "mixinstruct", "mixinstruct.json", pair=SMALL_AND_BIG)
    assert rows[0] == {
        "id": "gardens/1",
        "query": "Name a tree.\nIt has acorns.",
        "reference": "Oak",
        "edge_answer": "Elm",
        "cloud_answer": "Oak",
        "edge_score": -3.5,
        "cloud_score": -1.25,
        "edge_model": "small",
        "cloud_model": "big",
    }
    third = f"{SAMPLES / 'mixinstruct.json'}, row 3: no candidate of model 'small'; known: big"
    assert report.first("no label of the pair") == [third]
    rows, _ = imported(
        tmp_path,
        "mixinstruct",
        "mixinstruct.json",
        pair=SMALL_AND_BIG,
        options=["score=comparison"],
    )
    assert [row["winner"] for row in rows] == ["cloud"]


def test_routerbench(tmp_path: Path) -> None:
    pair = Pair("small", "vendor/big")
    rows, report = imported(tmp_path, "routerbench", "routerbench.csv", pair=pair)
    assert rows[0] == {
        "id": "garden.val.1",
        "query": "Which one is a tuber?\nA) Pea\nB) Potato",
        "category": "garden",
        "edge_score": 0.0,
        "edge_answer": "A",
        "edge_cost": 0.00001,
        "edge_model": "small",
        "cloud_score": 1.0,
        "cloud_answer": "B",
        "cloud_cost": 0.0003,
        "cloud_model": "vendor/big",
    }
    second = rows[1]
    assert (second["edge_score"], second["cloud_score"]) == (1, 0.25)
    assert second["cloud_answer"] == 'It\'s "for" digging'
    assert report.left_out == {
        "an empty query": 1,
        "another number of cells than the header": 1,
        "no score": 1,
    }


def test_without_a_pair_rows_have_the_scores_of_all_models(tmp_path: Path) -> None:
    rows, _ = imported(tmp_path, "routerbench", "routerbench.csv")
    assert rows[0]["scores"] == {"small": 0.0, "vendor/big": 1.0}
    assert rows[0]["costs"] == {"small": 0.00001, "vendor/big": 0.0003}
    rows, _ = imported(tmp_path, "llmrouter", "llmrouter.jsonl")
    assert named(rows)["w0"]["scores"] == {"small": 0, "big": 1}


def test_results_of_routerarena_are_joined_by_their_index(tmp_path: Path) -> None:
    files = ("routerarena_small.jsonl", "routerarena_big.jsonl")
    rows, report = imported(tmp_path, "routerarena", *files, pair=SMALL_AND_BIG)
    assert [(row["id"], row["edge_score"], row["cloud_score"]) for row in rows] == [
        ("Garden_1", 0, 1),
        ("Garden_2", 1, 1),
    ]
    assert rows[0]["category"] == "Garden" and rows[0]["reference"] == "B"
    assert rows[0]["scorer"] == "multiple_choice" and rows[0]["edge_cost"] == 0.0002
    assert report.left_out == {"no answer of a model of the pair": 1}


def test_llmrouters_scores_of_each_query_and_model_are_joined(tmp_path: Path) -> None:
    rows, report = imported(tmp_path, "llmrouter", "llmrouter.jsonl", pair=SMALL_AND_BIG)
    found = named(rows)
    assert found["w0"]["edge_score"] == 0 and found["w0"]["cloud_score"] == 1
    sky = found["llmrouter-1"]
    assert sky["query"] == "Which one is blue?\nA. Grass\nB. Sky"
    assert SKY.items() <= sky.items()
    assert (sky["edge_score"], sky["cloud_score"], sky["cloud_latency"]) == (0, 1, 0.5)
    assert report.left_out == {"no answer of a model of the pair": 1}


def test_plain_text_is_a_query_a_line_or_a_file(tmp_path: Path) -> None:
    lines, _ = imported(tmp_path, "text", "lines.txt")
    assert [(row["id"], row["query"]) for row in lines] == [
        ("lines-1", "What is dew?"),
        ("lines-3", "What is frost?"),
        ("lines-4", "What is\u2028hail?"),
    ]
    files, _ = imported(tmp_path, "text", "texts")
    assert [(row["id"], row["query"]) for row in files] == [
        ("one.txt", "Write a letter\nabout a hedge."),
        ("two.txt", "Write a note."),
    ]


SAMPLE_OF = {
    "openai-chat": "openai_chat.jsonl",
    "openai-batch": "openai_batch_input.jsonl",
    "litellm": "litellm.jsonl",
    "semantic-router": "semantic_router.jsonl",
    "ianvs": "ianvs",
    "mmlu": "mmlu",
    "cmmlu": "cmmlu",
    "gsm8k": "gsm8k.jsonl",
    "mt-bench": "mt_bench",
    "mixinstruct": "mixinstruct.json",
    "routerbench": "routerbench.csv",
    "routerarena": "routerarena_big.jsonl",
    "llmrouter": "llmrouter.jsonl",
    "text": "lines.txt",
}


@pytest.mark.parametrize("format", sorted(set(FORMATS.names()) - {"images"}))
def test_every_format_has_a_sample_and_its_rows_have_known_fields_alone(
    tmp_path: Path, format: str
) -> None:
    rows, _ = imported(tmp_path, format, SAMPLE_OF[format])
    assert rows and {field for row in rows for field in row} <= FIELDS.keys()
