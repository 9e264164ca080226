"""From a checkpoint to a causal language model and its tokenizer, or one clear error."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from predictors.engines.huggingface.checkpoint import check, resolve
from predictors.errors import ConfigurationError, first_line

# Tokenizers that know no limit say 1e30.
NO_LIMIT = 1 << 31


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready to run. `context` is the most tokens of prompt and answer together."""

    model: Any
    tokenizer: Any
    context: int
    end_tokens: frozenset[int]

    @property
    def pad_token(self) -> int:
        """Fills the left of shorter prompts in a group; masked, so that any token will do."""
        pad: int | None = self.tokenizer.pad_token_id
        return pad if pad is not None else min(self.end_tokens, default=0)


def load(model_dir: str, *, dtype: str, revision: str | None, trust_remote_code: bool) -> Loaded:
    """Loads onto the GPU where there is one. `dtype` "auto" is the checkpoint's own there and
    float32 on the CPU. Raises ConfigurationError."""
    path = resolve(model_dir, revision)
    check(path)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if dtype == "auto" and device == "cpu":
        dtype = "float32"
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code)
        _check_causal(path, config)
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)
        model, report = AutoModelForCausalLM.from_pretrained(
            path,
            config=config,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    except ConfigurationError:
        raise
    except Exception as error:  # transformers raises whatever its backends do
        raise ConfigurationError(f"model_dir {path}: {first_line(error)}") from error
    _check_complete(path, model, tokenizer, report)
    return _loaded(model.to(device).eval(), tokenizer)


def _check_causal(path: Path, config: Any) -> None:
    """A model type alone says little: a BERT classifier has a causal sibling of its type."""
    architectures = config.architectures or []
    known = set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values())
    remote = "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {})
    causal = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if architectures:
        causal = bool(known.intersection(architectures))
    if not remote and (not causal or config.is_encoder_decoder):
        what = ", ".join(architectures) or config.model_type
        raise ConfigurationError(f"model_dir {path}: {what} is not a causal language model")


def _check_complete(path: Path, model: Any, tokenizer: Any, report: dict[str, Any]) -> None:
    """transformers fills missing weights with random numbers and only warns."""
    missing = sorted(report["missing_keys"])
    if missing:
        raise ConfigurationError(
            f"model_dir {path}: {len(missing)} weights are missing, {missing[0]} the first"
        )
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ConfigurationError(
            f"model_dir {path}: the tokenizer has {len(tokenizer)} tokens, "
            f"the model embeddings for {rows}; they don't belong together"
        )


def _loaded(model: Any, tokenizer: Any) -> Loaded:
    ends = model.generation_config.eos_token_id
    if ends is None:
        ends = tokenizer.eos_token_id
    end_tokens = frozenset([ends] if isinstance(ends, int) else ends or [])
    # The checkpoint's own sampling defaults go: the contract's are the same for every engine.
    model.generation_config = GenerationConfig()
    return Loaded(model, tokenizer, _context(model, tokenizer), end_tokens)


def _context(model: Any, tokenizer: Any) -> int:
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return int(positions or min(tokenizer.model_max_length, NO_LIMIT))
