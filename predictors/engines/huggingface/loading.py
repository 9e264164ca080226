"""From a checkpoint to a model that generates text and its tokenizer, or one clear error."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

from predictors.engines.checkpoint import check, resolve
from predictors.engines.huggingface.quantization import method
from predictors.engines.huggingface.settings import ModelSettings
from predictors.errors import ConfigurationError, first_line

# Below it the threads of one operation wait for each other longer than they compute: at 0.9 and
# 3.3 million parameters two threads answer 16 callers at half and two thirds of one's rate.
ONE_THREAD_PARAMETERS = 10_000_000
# Tokenizers without a limit have 1e30.
NO_LIMIT = 1 << 31


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready to run.

    `context` is the most tokens of prompt and answer together; of each, for an encoder-decoder.
    `vocabulary` is how many tokens the model has embeddings for.
    `beginning` is how the decoder of one begins: options of transformers' GenerationConfig.
    """

    model: Any
    tokenizer: Any
    context: int
    end_tokens: frozenset[int]
    vocabulary: int
    encoder_decoder: bool = False
    beginning: Mapping[str, int] = field(default_factory=dict)

    @property
    def pad_token(self) -> int:
        """Fills up shorter prompts in a group; masked, so that any token will do."""
        pad: int | None = self.tokenizer.pad_token_id
        return pad if pad is not None else min(self.end_tokens, default=0)


def load(settings: ModelSettings) -> Loaded:
    """Loads onto the GPU where there is one. A `dtype` "auto" is what the quantization needs, else
    the checkpoint's own on a GPU and float32 on the CPU. Raises ConfigurationError."""
    path = resolve(settings.model_dir, settings.revision, gguf=True)
    check(path)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    quantized = method(settings.quantization, device)
    folder, options = _source(path)
    options["trust_remote_code"] = settings.trust_remote_code
    try:
        config = AutoConfig.from_pretrained(folder, **options)
        _check_generates(path, config)
        if path.is_file() and settings.quantization != "none":
            raise ConfigurationError(
                f"model_dir {path}: a GGUF file is quantised already, and unpacked as it is read; "
                "leave --quantization out"
            )
        quantized.check(path, config)
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        model_class = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model, report = model_class.from_pretrained(
            folder,
            config=config,
            dtype=quantized.dtype if settings.dtype == "auto" else settings.dtype,
            output_loading_info=True,
            **options,
            **quantized.loading(),
        )
        _check_complete(path, model, tokenizer, report)
        model = quantized.apply(model).eval()
    except ConfigurationError:
        raise
    except Exception as error:  # transformers raises whatever its backends do
        raise ConfigurationError(f"model_dir {path}: {first_line(error)}") from error
    return _loaded(model, tokenizer)


def load_to_run(settings: ModelSettings) -> Loaded:
    """The same, with as many threads for each operation as the settings say, or suit it."""
    loaded = load(settings)
    small = loaded.model.num_parameters() < ONE_THREAD_PARAMETERS
    if settings.threads is not None or small:
        torch.set_num_threads(settings.threads or 1)
    return loaded


def _source(path: Path) -> tuple[Path, dict[str, Any]]:
    """A GGUF file's weights are unpacked to `dtype` as they are read."""
    if path.is_dir():
        return path, {}
    try:
        import gguf  # noqa: F401 - transformers' reader needs it, and says so late
    except ImportError:
        raise ConfigurationError(
            f"model_dir {path}: to read GGUF files pip install 'kserve-hem[gguf]'"
        ) from None
    return path.parent, {"gguf_file": path.name}


def _check_generates(path: Path, config: Any) -> None:
    """The model type alone doesn't tell: a BERT classifier has a causal sibling of its type."""
    mapping, auto_class = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, "AutoModelForCausalLM"
    if config.is_encoder_decoder:
        mapping, auto_class = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES, "AutoModelForSeq2SeqLM"
    architectures = config.architectures or []
    remote = auto_class in (getattr(config, "auto_map", None) or {})
    generates = config.model_type in mapping
    if architectures:
        generates = bool(set(mapping.values()).intersection(architectures))
    if not remote and not generates:
        what = ", ".join(architectures) or config.model_type
        raise ConfigurationError(
            f"model_dir {path}: {what} is not a causal language model or an encoder-decoder that "
            "generates text; for a classifier use --engine classifier"
        )


def _check_complete(path: Path, model: Any, tokenizer: Any, report: dict[str, Any]) -> None:
    """transformers fills missing weights with random numbers and only warns."""
    if missing := sorted(report["missing_keys"]):
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
    own = model.generation_config
    ends = tokenizer.eos_token_id if own.eos_token_id is None else own.eos_token_id
    end_tokens = frozenset([ends] if isinstance(ends, int) else ends or [])
    encoder_decoder = bool(model.config.is_encoder_decoder)
    names = ("decoder_start_token_id", "forced_bos_token_id") if encoder_decoder else ()
    beginning = {name: value for name in names if (value := getattr(own, name, None)) is not None}
    # The checkpoint's own sampling defaults go: the contract's are the same for every engine.
    model.generation_config = GenerationConfig()
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    context = int(positions or min(tokenizer.model_max_length, NO_LIMIT))
    return Loaded(
        model,
        tokenizer,
        context,
        end_tokens,
        int(model.get_input_embeddings().weight.shape[0]),
        encoder_decoder,
        beginning,
    )
