"""Runs a Hugging Face directory token by token, greedily or sampling, several requests at a time.

Runs inside Triton's Python backend, with nothing but its environment's numpy, torch, transformers.
"""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import triton_python_backend_utils as pb_utils
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

CONCURRENT_REQUESTS = 4
SMALL_PARAMETERS = 300_000_000  # several threads on a smaller model cost more than they bring


@dataclass
class Options:
    """The part of vLLM's SamplingParams that is known here, with the contract's defaults."""

    max_tokens: int = 512
    temperature: float = 0.8
    top_p: float = 0.8
    repetition_penalty: float = 1.05
    stop: list[str] = field(default_factory=list)
    seed: int | None = None
    logprobs: int = 0


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        parameters = json.loads(args["model_config"]).get("parameters", {})
        given = parameters.get("model_dir", {}).get("string_value")
        directory = given or os.environ.get("MODEL_DIR", "/mnt/models")
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.model = AutoModelForCausalLM.from_pretrained(directory).eval()
        if self.model.num_parameters() < SMALL_PARAMETERS:
            torch.set_num_threads(1)
        end = self.model.generation_config.eos_token_id
        self.ends = set(end) if isinstance(end, list) else {end}
        self.pool = ThreadPoolExecutor(CONCURRENT_REQUESTS)

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            self.pool.submit(self._answer, request, request.get_response_sender())

    def finalize(self) -> None:
        self.pool.shutdown(cancel_futures=True)

    def _answer(self, request: Any, sender: Any) -> None:
        try:
            error = None
            for response in self._responses(request):
                if sender.is_cancelled():
                    pb_utils.Logger.log_info("causal_lm: a request was cancelled")
                    break
                sender.send(response)
        except Exception as failed:
            error = pb_utils.InferenceResponse(
                error=pb_utils.TritonError(f"{type(failed).__name__}: {failed}")
            )
        flags = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
        sender.send(error, flags=flags) if error else sender.send(flags=flags)

    def _responses(self, request: Any) -> Iterator[Any]:
        """One response per token where the request says `stream`, else one at the end."""
        text = _value(request, "text_input").decode()
        given = json.loads(_value(request, "sampling_parameters", b"{}"))
        options = Options(**{k: v for k, v in given.items() if k in Options.__annotations__})
        shown = {
            name
            for name in ("logprobs", "num_input_tokens", "num_output_tokens")
            if _value(request, f"return_{name}", False)
        }
        stream = bool(_value(request, "stream", False))
        prompt = self._encode(text)
        so_far = "" if stream or _value(request, "exclude_input_in_output", False) else text
        parts, tokens = [so_far], []
        for part, logprobs in self._generate(prompt, options):
            parts.append(part)
            tokens.append(logprobs)
            if stream:
                yield _response("".join(parts), tokens, len(prompt), shown)
                parts, tokens = [], []
        if not stream:
            yield _response("".join(parts), tokens, len(prompt), shown)

    def _encode(self, text: str) -> list[int]:
        if self.tokenizer.chat_template:
            messages = [{"role": "user", "content": text}]
            text = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
            return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return list(self.tokenizer(text)["input_ids"])

    @torch.inference_mode()
    def _generate(self, prompt: list[int], options: Options) -> Iterator[tuple[str, Any]]:
        """Yields each token's new text, and its log-probability with those of the likeliest."""
        choose = _chooser(options)
        ids, cache, text, generated = torch.tensor([prompt]), None, "", []
        for _ in range(min(options.max_tokens, self._room(prompt))):
            step = ids if cache is None else ids[:, -1:]
            output = self.model(input_ids=step, past_key_values=cache, use_cache=True)
            cache, logits = output.past_key_values, output.logits[:, -1].float()
            token = choose(ids, logits)
            logprobs = _logprobs(logits[0].log_softmax(-1), token, options.logprobs)
            ended = token in self.ends
            generated += [] if ended else [token]
            ids = torch.cat([ids, torch.tensor([[token]])], dim=-1)
            whole = self.tokenizer.decode(generated, skip_special_tokens=True)
            stops = [at for stop in options.stop if (at := whole.find(stop)) >= 0]
            whole = whole[: min(stops)] if stops else whole
            if whole.endswith("\ufffd") and not (ended or stops):
                whole = text  # half a character: it goes with its other half
            yield whole[len(text) :], logprobs
            text = whole
            if ended or stops:
                return

    def _room(self, prompt: list[int]) -> int:
        return max(1, int(self.model.config.max_position_embeddings) - len(prompt))


def _chooser(options: Options) -> Callable[[torch.Tensor, torch.Tensor], int]:
    steps = LogitsProcessorList()
    if options.repetition_penalty != 1.0:
        steps.append(RepetitionPenaltyLogitsProcessor(options.repetition_penalty))
    if options.temperature == 0:
        return lambda ids, logits: int(steps(ids, logits).argmax())
    steps += [TemperatureLogitsWarper(options.temperature), TopPLogitsWarper(options.top_p)]
    generator = torch.Generator()
    generator.manual_seed(options.seed) if options.seed is not None else generator.seed()
    return lambda ids, logits: int(
        torch.multinomial(steps(ids, logits).softmax(-1)[0], 1, generator=generator)
    )


def _logprobs(values: torch.Tensor, token: int, count: int) -> dict[str, Any] | None:
    """The chosen token first, then the `count` likeliest, as vLLM has them."""
    if not count:
        return None
    order = [token, *values.topk(count).indices.tolist()]
    return {str(i): {"logprob": float(values[i])} for i in order}


def _response(text: str, tokens: list[Any], prompt_tokens: int, shown: set[str]) -> Any:
    tensors = [pb_utils.Tensor("text_output", np.array([text.encode()], dtype=np.object_))]
    if "logprobs" in shown:
        data = json.dumps(tokens if tokens and tokens[0] else None).encode()
        tensors.append(pb_utils.Tensor("logprobs", np.array([data], dtype=np.object_)))
    if "num_input_tokens" in shown:
        tensors.append(pb_utils.Tensor("num_input_tokens", np.array([prompt_tokens], np.uint32)))
    if "num_output_tokens" in shown:
        tensors.append(pb_utils.Tensor("num_output_tokens", np.array([len(tokens)], np.uint32)))
    return pb_utils.InferenceResponse(output_tensors=tensors)


def _value(request: Any, name: str, default: Any = None) -> Any:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return default if tensor is None else tensor.as_numpy().ravel()[0]
