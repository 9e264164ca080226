"""One query through vLLM: its answer as it comes, or its error."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from vllm import SamplingParams
from vllm.exceptions import GracefulHTTPError, VLLMClientError, VLLMValidationError
from vllm.inputs import TokensInput, TokensPrompt, tokens_input
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from predictors.contract import Delta
from predictors.contract.openai.errors import InvalidField
from predictors.contract.openai.fields import RESPONSE_FORMAT
from predictors.engines.prompt import Prompt
from predictors.engines.vllm.failures import Failures, cut
from predictors.engines.vllm.written import Written
from predictors.errors import EngineError, HEMError, InvalidRequest, Overloaded, first_line

_PLACE_IN_XGRAMMAR: Final = re.compile(r"\[[\d:]+\] \S+:\d+: ")


async def generate(
    llm: AsyncLLM,
    prompt: Prompt,
    parameters: SamplingParams,
    written: Written,
    request: str,
    failures: Failures,
) -> AsyncGenerator[Delta]:
    """The last part has the answer; with FINAL_ONLY there is no other. `request` is an id of its
    own. Closed or cancelled before the end, vLLM drops the query before its next token.

    Raises InvalidRequest, Overloaded or EngineError; why vLLM died comes from `failures`.
    """
    try:
        outputs = llm.generate(_input(prompt, parameters), parameters, request)
        async with aclosing(outputs):
            async for output in outputs:
                if delta := written.add(output):
                    yield delta
    except HEMError:
        raise
    except Exception as error:  # vLLM raises whatever its parts do
        raise _ours(error, parameters, failures) from error
    if not written.ended:
        raise EngineError("generation failed: vLLM gave no answer")


def _input(prompt: Prompt, parameters: SamplingParams) -> TokensInput | TokensPrompt:
    """vLLM checks a schema where it takes the prompt: what is not called rendered it takes in a
    thread, and a pattern may keep it for seconds."""
    if parameters.structured_outputs is not None:
        return TokensPrompt(prompt_token_ids=prompt.tokens)
    return tokens_input(prompt.tokens)


def _ours(error: Exception, parameters: SamplingParams, failures: Failures) -> HEMError:
    if isinstance(error, GracefulHTTPError):  # max_num_queued_reqs, max_num_queued_tokens
        return Overloaded(first_line(error))
    if isinstance(error, VLLMClientError):
        return _refused(error, parameters)
    if isinstance(error, EngineDeadError):
        return EngineError(f"generation failed: vLLM has died: {failures.cause(error)}")
    return EngineError(f"generation failed: {first_line(error.__cause__ or error)}")


def _refused(error: VLLMClientError, parameters: SamplingParams) -> InvalidRequest:
    """vLLM names the parameter at fault, but for a schema. It calls them as OpenAI does."""
    field = error.parameter if isinstance(error, VLLMValidationError) else None
    if field is None and parameters.structured_outputs is not None:
        field = RESPONSE_FORMAT
    message = first_line(Exception(*error.args))  # without the value, which may be long
    message = cut(_PLACE_IN_XGRAMMAR.sub("", message))
    if field is None:
        return InvalidRequest(message)
    # Of a schema that is one: another model may take it.
    code = "unsupported" if "not supported" in message else None
    return InvalidField(f"{field}: {message}", field, code)
