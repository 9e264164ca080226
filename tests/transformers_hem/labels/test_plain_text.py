"""One spelling for what answers write in many."""

import time

import pytest

from transformers_hem.labels.scorers.answer_text import answered, final
from transformers_hem.labels.scorers.plain_text import plain


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("\uff22", "B"),
        ("\uff08\uff22\uff09\uff1a", "(B):"),
        ("\u3010B\u3011", "[B]"),
        ("\u300cB\u300d\u3002", '"B". '),
        ("\uff11\uff12\uff0e\uff15", "12.5"),
        ("\u0664\u0662", "42"),
        ("\u0967\u0968", "12"),
        ("\u0661\u066c\u0662\u0663\u0664\u066b\u0665", "1,234.5"),
        ("\u22125", "-5"),
        ("\u20135", "-5"),
        ("\u2011$5", "-$5"),
        ("C \u2013 green", "C \u2013 green"),
        ("\u00bd", "1/2"),
        ("3\u00bd", "3 1/2"),
        ("1\u202f234\u00a0567", "1 234 567"),
        ("\u200b\ufeff4\u00ad2\u200f", "42"),
        ("25 m\u00b2", "25 m\u00b2"),
        ("25\u33a1", "25\u33a1"),
        ("10\u2076", "10\u2076"),
        (r"\text{B}", "B"),
        (r"\boxed{\textbf{\mathrm{B}}}", r"\boxed{B}"),
        (r"\left(B\right)", "(B)"),
        (r"\frac{1}{2}, \tfrac12, \dfrac{3}4", "1/2, 1/2, 3/4"),
        (r"2\frac{1}{2}", "2 1/2"),
        (r"\leftarrow", r"\leftarrow"),
        ("plain", "plain"),
    ],
)
def test_a_text_has_one_spelling(text: str, spelling: str) -> None:
    assert plain(text) == spelling


@pytest.mark.parametrize(
    "text",
    [
        "<think>A</think>\nB",
        "<think>\n<think>A</think> A</think>B",
        "A, or else.</think>\n\nB",
        "<THINKING>A</THINKING>B",
        "[THINK]A[/THINK]B",
        "\u25c1think\u25b7A\u25c1/think\u25b7B",
        "<reasoning>A</reasoning>B<reasoning>C",
        "<|channel|>analysis<|message|>A<|end|><|start|>assistant<|channel|>final<|message|>B<|return|>",
        "<thinking>The answer is A.</thinking>\nB",
        "<think time=3>A</think>B",
        "<seed:think>A</seed:think>B",
        "<longcat_think>A</longcat_think>B",
        "<mm:think>A</mm:think>B",
        "<thought>A</thought>B",
        "<reflection>A</reflection>B",
        "<scratchpad>A</scratchpad><answer>B</answer>",
        "<antThinking>A</antThinking>B",
        "<think>A</think>\n<answer>\nB\n</answer>",
        "<|START_THINKING|>A<|END_THINKING|><|START_RESPONSE|>B<|END_RESPONSE|>",
        "<|inner_prefix|>A<|inner_suffix|>B",
        "<|think:start|>A<|think:end|>B",
        "A<|think:end|>B",
        "<|begin_of_thought|>A<|end_of_thought|><|begin_of_solution|>B<|end_of_solution|>",
        "<|channel>thought\nA<channel|>B<turn|>",
        "<unused94>thought\nA<unused95>B",
        "[unused16]A[unused17]B",
        "<|channel|>analysis<|message|>A<|end|><|start|>assistant<|channel|>commentary<|message|>A"
        "<|end|><|start|>assistant<|channel|>final<|message|>B",
        "<|channel|>final <|constrain|>json<|message|>B",
        "analysisWe need A.assistantfinalB",
        "Here is my thought process: A Here is my response: B",
        "Here's my thought process:\n\nA\n\nHere's my response:\n\nB",
        '<details type="reasoning" done="true"><summary>Thought</summary>A</details>\nB',
        "B<|eom_id|>",
        "B<end_of_turn>\n<start_of_turn>user\nA",
        "B<\uff5cend\u2581of\u2581sentence\uff5c>",
        "B\n\nHuman: And A?\n\nAssistant: A",
        "B\nUser: A",
        "B<|im_end|>\n<|im_start|>user\nA",
        "B</s>A",
        "B<|eot_id|>",
    ],
)
def test_reasoning_and_other_turns_are_no_part_of_the_answer(text: str) -> None:
    assert answered(text).strip() == "B"


@pytest.mark.parametrize(
    "text",
    [
        "<think>The answer is B",
        "",
        "<think></think>",
        "<thinking>\nThe answer is B",
        "[THINK]B",
        "\u25c1think\u25b7B",
        "<|channel|>analysis<|message|>B",
        "<|channel|>analysis<|message|>B<|end|>",
        "<|START_THINKING|>B",
        "<seed:think>B",
        "analysisWe think that the answer is B",
        "Here is my thought process: B",
        '<details type="reasoning">B',
    ],
)
def test_reasoning_that_was_cut_off_has_no_answer(text: str) -> None:
    assert answered(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        *["Human: B", "if 1 < think", "User:\nB", "analysis of the data: B", "I think B", "[B]"],
        *["<details><summary>B</summary>A</details>", "<b>B</b>", "Thinking: B", "[analysis] B"],
    ],
)
def test_an_answer_that_only_looks_like_a_turn_stays(text: str) -> None:
    assert answered(text) == text


@pytest.mark.parametrize(
    "text",
    [
        '{"answer": "B"}',
        '```json\n{"reason": "A", "final_answer": "B"}\n```',
        'Here it is:\n{"steps": [{"n": 1}], "Answer" : "B", "sure": true}',
        "{'answer': 'B'}",
        '{"answer_letter": "B"}',
        '{"answer": "A"} No: {"answer": "B"}',
        '{"choice": "\\u0042"}',
        '{"answer": "\uff22"}',
    ],
)
def test_of_json_the_last_answer_counts(text: str) -> None:
    assert final(text) == "B"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"answer": -1.5e3, "n": 2}', "-1500.0"),
        ('{"answer": 042}', "042"),
        ('{"answer": "say \\"B\\""}', 'say "B"'),
        ('{"answer": ["A", "B"]}', '{"answer": ["A", "B"]}'),
        ('{"question": "A"}', '{"question": "A"}'),
    ],
)
def test_json_is_read_by_its_rules_or_left_alone(text: str, value: str) -> None:
    assert final(text) == value


@pytest.mark.parametrize(
    "piece",
    [
        *[
            "<think>",
            "</think>",
            "<think></think>",
            "<|im_end|>",
            "[",
            " \n",
            '"answer": ',
            "\\text{",
        ],
        *[
            "\\frac{1}{",
            "\\frac1",
            "{",
            '"answer": "\\',
            "\uff22\u00b2",
            "\u0664 ",
            "\u2013 ",
            "\n",
        ],
    ],
)
def test_a_long_text_takes_a_moment(piece: str) -> None:
    began = time.process_time()
    final("B" + piece * (100_000 // len(piece)))
    assert time.process_time() - began < 2
