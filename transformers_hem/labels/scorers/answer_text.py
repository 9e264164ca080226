"""The part of a model's text that is its answer: without reasoning, without turns of others, and
of JSON or XML the field that is called an answer. Every scorer reads answers through this.

The marks of reasoning are those that the parsers of vLLM and SGLang know.
"""

import re
from typing import Final

import orjson

from transformers_hem.labels.scorers.plain_text import plain

_THINK: Final = r"(?:think|thinking|thoughts?|reasoning|reflection|analysis|scratchpad|antthinking)"
_TAG: Final = rf"[<\u25c1]%s\s?(?:\w{{1,12}}[:_])?{_THINK}%s[>\u25b7]"
_OPEN: Final = "|".join(
    [
        _TAG % ("", r"(?:\s[^<>\n]{0,80})?"),
        r"\[(?:think|thinking|thought|reasoning)\]",
        r"<\|(?:start_thinking|inner_prefix|think:start|begin_of_thought)\|>",
        r"<\|channel\|>(?:analysis|commentary)",  # OpenAI's gpt-oss
        r"<\|channel>|<unused94>|\[unused16\]",  # Gemma, MedGemma, Pangu
        r"\Aanalysis(?-i:(?=[A-Z]))",  # gpt-oss where special tokens are left out
        r"\AHere(?:['\u2019]s|\sis)\smy\sthought\sprocess:",  # Granite
        r"<details\stype=.reasoning",  # Open WebUI
    ]
)
_CLOSE: Final = "|".join(
    [
        _TAG % ("/", ""),
        r"\[/(?:think|thinking|thought|reasoning)\]",
        r"<\|(?:end_thinking|inner_suffix|think:end|end_of_thought)\|>",
        r"<\|channel\|>final[^<]{0,40}(?:<\|constrain\|>\w{1,20})?<\|message\|>",
        r"<channel\|>|<unused95>|\[unused17\]|assistantfinal",
        r"Here(?:['\u2019]s|\sis)\smy\sresponse:",
        r"</details>",
    ]
)
# A block that never ends was cut by the limit of tokens, and has no answer after it.
_BLOCK: Final = re.compile(rf"(?:{_OPEN})(?:.*?(?:{_CLOSE})|.*)", re.I | re.S)
# Chat templates often put the opening mark into the prompt: then only the closing one is left.
_REST_OF_BLOCK: Final = re.compile(rf"\A.*(?:{_CLOSE.rpartition('|')[0]})", re.I | re.S)
# A model that doesn't stop goes on with a turn of the user.
_NEXT_TURN: Final = re.compile(
    r"(?<=\S)\s{0,8}(?:\n(?:Human|User):|</s>|<turn\|>|<eos>|<end_of_turn>|\[/?INST\]"
    r"|<\|(?:im_end|im_start|eot_id|eom_id|end|return|endoftext|end_of_text|user|END_RESPONSE"
    r"|END_OF_TURN_TOKEN|end_of_solution)\|>|<\uff5cend\u2581of\u2581sentence\uff5c>)"
)
_WRAPPER: Final = re.compile(
    r"\A\s*(?:<(?P<tag>(?:final_?)?(?:answer|response)|output|solution)>(?P<inner>.*)</(?P=tag)>"
    r"|(?:<\|(?:START_RESPONSE|begin_of_solution)\|>)(?P<rest>.*))\s*\Z",
    re.I | re.S,
)
_ELEMENT: Final = re.compile(r"<((?:final_?)?answer)>\s{0,80}([^<>]{1,2000}?)\s{0,80}</\1>", re.I)
_NAME: Final = (
    r"(?:final|correct|selected|chosen|predicted|best)?[_ ]?"
    r"(?:answer|choice|option|result|response|prediction)(?:[_ ]?(?:letter|value))?"
    r"|答案|答え|正解|정답|antwort|respuesta|r[ée]ponse|risposta|resposta|ответ|उत्तर|الإجابة|الجواب"
)
_SCALAR: Final = r'"(?:[^"\\\n]|\\.)*"|-?\d[\d.eE+-]*'
_FIELD: Final = re.compile(
    rf"""["'](?:{_NAME})["']\s?:\s{{0,8}}(?:\{{\s{{0,8}}"(?:letter|value|option)"\s?:\s{{0,8}})?"""
    rf"""(?:(?P<json>{_SCALAR})|\[\s{{0,8}}(?P<only>{_SCALAR})\s{{0,8}}\]|'(?P<python>[^'\n]*)')""",
    re.I,
)


def answered(text: str) -> str:
    """A model's text without its blocks of reasoning, without turns of others that it made up, and
    without an <answer> around it all."""
    text = _REST_OF_BLOCK.sub("", _BLOCK.sub("", text))
    turn = _NEXT_TURN.search(text)
    text = text[: turn.start()] if turn else text
    wrapped = _WRAPPER.match(text)
    return text if wrapped is None else wrapped["inner"] or wrapped["rest"] or ""


def final(text: str) -> str:
    """What `text`, a model's, answers in the end, in plain text: of JSON, and of XML, the last
    field that is called an answer."""
    answer = answered(text)
    for element in list(_ELEMENT.finditer(answer))[-1:]:
        answer = element[2]
    for field in list(_FIELD.finditer(answer))[-1:]:
        answer = field["python"] or _value(field["json"] or field["only"] or "")
    return plain(answer).strip()


def _value(field: str) -> str:
    try:
        return str(orjson.loads(field))
    except orjson.JSONDecodeError:  # an escape or a number that JSON doesn't have
        return field.strip('"')
