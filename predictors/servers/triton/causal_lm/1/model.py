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
FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
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
        parameter = json.loads(args["model_config"]).get("parameters", {}).get("model_dir", {})
        directory = parameter.get("string_value") or os.environ.get("MODEL_DIR", "/mnt/models")
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
            for response in self._responses(request):
                if sender.is_cancelled():
                    pb_utils.Logger.log_info("causal_lm: a request was cancelled")
                    break
                sender.send(response)
        except Exception as failed:
            error = pb_utils.TritonError(f"{type(failed).__name__}: {failed}")
            sender.send(pb_utils.InferenceResponse(error=error), flags=FINAL)
        else:
            sender.send(flags=FINAL)

    def _responses(self, request: Any) -> Iterator[Any]:
        """One response per token where the request says `stream`, else one at the end."""
        text = _value(request, "text_input").decode()
        sampling = json.loads(_value(request, "sampling_parameters", b"{}"))
        options = Options(**{k: v for k, v in sampling.items() if k in Options.__annotations__})
        shown = {"text_output"} | {
            name
            for name in ("finish_reason", "logprobs", "num_input_tokens", "num_output_tokens")
            if _value(request, f"return_{name}", False)
        }
        stream = bool(_value(request, "stream", False))
        prompt = self._encode(text)
        so_far = "" if stream or _value(request, "exclude_input_in_output", False) else text
        parts, tokens, finish = [so_far], [], None
        for part, logprobs, finish in self._generate(prompt, options):
            parts.append(part)
            tokens.append(logprobs)
            if stream:
                yield _response("".join(parts), tokens, len(prompt), finish, shown)
                parts, tokens = [], []
        if not stream:
            yield _response("".join(parts), tokens, len(prompt), finish, shown)

    def _encode(self, text: str) -> list[int]:
        chat = bool(self.tokenizer.chat_template)
        if chat:
            text = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
            )
        return list(self.tokenizer(text, add_special_tokens=not chat)["input_ids"])

    @torch.inference_mode()
    def _generate(
        self, prompt: list[int], options: Options
    ) -> Iterator[tuple[str, Any, str | None]]:
        """Yields each token's new text, as far as it will not change; its log-probability with
        those of the likeliest; and why the answer ends, with its last token."""
        choose = _chooser(options)
        ids, cache, text, generated = torch.tensor([prompt]), None, "", []
        room = max(1, int(self.model.config.max_position_embeddings) - len(prompt))
        count = min(options.max_tokens, room)
        for number in range(1, count + 1):
            output = self.model(
                input_ids=ids if cache is None else ids[:, -1:],
                past_key_values=cache,
                use_cache=True,
            )
            cache, logits = output.past_key_values, output.logits[:, -1].float()
            token = choose(ids, logits)
            logprobs = _logprobs(logits[0].log_softmax(-1), token, options.logprobs)
            ended = token in self.ends
            generated += [] if ended else [token]
            ids = torch.cat([ids, torch.tensor([[token]])], dim=-1)
            whole = self.tokenizer.decode(generated, skip_special_tokens=True)
            stops = [at for stop in options.stop if (at := whole.find(stop)) >= 0]
            whole = whole[: min(stops)] if stops else whole
            finish = "stop" if ended or stops else "length" if number == count else None
            now = whole if finish else _settled(whole, options.stop)
            yield now[len(text) :], logprobs, finish
            if finish:
                return
            text = now


def _settled(text: str, stops: list[str]) -> str:
    """Without half a character at its end, and without what may become a stop string."""
    text = text.rstrip("\ufffd")
    begun = [n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])]
    return text[: len(text) - max(begun, default=0)]


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
    return {
        str(i): {"logprob": float(values[i])} for i in (token, *values.topk(count).indices.tolist())
    }


def _response(
    text: str, tokens: list[Any], prompt_tokens: int, finish: str | None, shown: set[str]
) -> Any:
    logprobs = json.dumps(tokens if tokens and tokens[0] else None)
    outputs = {
        "text_output": np.array([text.encode()], dtype=np.object_),
        "finish_reason": np.array([str(finish).encode()], dtype=np.object_),
        "logprobs": np.array([logprobs.encode()], dtype=np.object_),
        "num_input_tokens": np.array([prompt_tokens], np.uint32),
        "num_output_tokens": np.array([len(tokens)], np.uint32),
    }
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor(name, values) for name, values in outputs.items() if name in shown]
    )


def _value(request: Any, name: str, default: Any = None) -> Any:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return default if tensor is None else tensor.as_numpy().ravel()[0]
