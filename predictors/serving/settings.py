"""What every predictor has, whichever its engine."""

from pydantic import Field

from predictors.contract import Sampling, parse_sampling
from predictors.errors import ConfigurationError, InvalidRequest
from predictors.settings import EngineSettings

DEFAULT_MAX_BODY_BYTES = 8 * 1024 * 1024


class PredictorSettings(EngineSettings):
    """Options of the server, and generation parameters where a request has none."""

    model_name: str = Field("model", min_length=1, description="name in the V2 path")
    engine: str = Field("huggingface", description="engine that answers, or module:Class")
    max_body_bytes: int = Field(
        DEFAULT_MAX_BODY_BYTES, gt=0, description="largest request body in bytes; above it: 413"
    )
    host: str = Field("", description="address to listen on; all of this machine's if empty")
    max_tokens: str = Field("512", description="most tokens of an answer")
    temperature: str = Field("0.8", description="0 (greedy) to 2")
    top_p: str = Field("0.8", description="nucleus: share of probability to sample from")
    repetition_penalty: str = Field("1.05", description="1 = none")
    stop: str = Field("", description="string that ends an answer, or a JSON array of them")
    seed: str = Field("", description="seed of sampling; none where absent")

    def sampling(self) -> Sampling:
        """Defaults for what a request leaves out; checked by the contract's own parser."""
        names = Sampling.__dataclass_fields__
        values = {name: value for name in names if (value := getattr(self, name)) != ""}
        try:
            return parse_sampling(values, Sampling())
        except InvalidRequest as error:
            raise ConfigurationError(str(error)) from error
