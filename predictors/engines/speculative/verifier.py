"""A predictor of ours that checks drafts."""

from dataclasses import replace
from typing import Any, Final

from pydantic import ValidationError

from predictors.contract import Sampling
from predictors.contract.speculation import (
    MODEL_PATH,
    PATH,
    Forgotten,
    OtherModel,
    Round,
    Verdict,
    VerifyModel,
    Whole,
)
from predictors.engines.speculative.base import DraftingModel, Replaced
from predictors.engines.speculative.recording import came_back, sent_with
from predictors.engines.speculative.settings import SpeculativeSettings
from predictors.errors import HEMError, UpstreamError
from predictors.upstream.attempt import Refusal
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.openai.endpoint import KEY_HINT

MOST_ROUNDS: Final = 64
HINTS: Final = {
    401: KEY_HINT,
    403: KEY_HINT,
    404: "it checks no drafts: start it with --verify_slots, or see --verifier",
}


class RemoteVerifier:
    """Raises ConfigurationError for a key, a CA bundle or a proxy that is not valid."""

    def __init__(self, settings: SpeculativeSettings) -> None:
        # By rejection each round's draws depend on how the one before it ended.
        self.most_rounds = MOST_ROUNDS if settings.rule == "coupled" else 1
        self._name = ""  # of the model there
        self._http = HTTPUpstream(
            settings.url.removesuffix("/v1"),
            settings,
            settings.client(),
            headers=settings.headers_with(settings.key()),
            refused=_refused,
            health=MODEL_PATH,
        )

    @property
    def url(self) -> str:
        return self._http.url

    async def model(self, near: DraftingModel) -> VerifyModel:
        model = await self._http.get(MODEL_PATH, _model)
        self._name = model.name
        return model

    def takes(self, sampling: Sampling) -> str | None:
        return None

    async def check(self, round: Round, whole: Whole, vocabulary: int) -> Verdict:
        try:
            return await self._asked(round, vocabulary)
        except Forgotten:
            pass
        try:
            return await self._asked(round.told(whole), vocabulary)
        except Forgotten as error:
            raise UpstreamError(f"{self.url} forgets what it was just told: {error}") from None

    async def _asked(self, round: Round, vocabulary: int) -> Verdict:
        tokens = round.told_tokens

        def read(body: Any) -> Verdict:
            return came_back(self._name, tokens, Verdict.parse(body, round, vocabulary))

        about = sent_with(round, tokens)
        return await self._http.post(PATH, round.to_json(), read, about=about)

    async def close(self) -> None:
        await self._http.close()


def _model(body: Any) -> VerifyModel:
    try:
        return VerifyModel.model_validate(body)
    except ValidationError as error:
        raise ValueError(f"no model that checks drafts: {error.errors()[0]['msg']}") from None


def _refused(refusal: Refusal) -> HEMError:
    """The caller can mend none of the others: what is asked is ours."""
    if refusal.status == Forgotten.status:
        return Forgotten(refusal.reason)
    if refusal.status == OtherModel.status:
        error = refusal.error()
        return Replaced(f"{error}; ask again", error.cause, answered=refusal.status)
    return replace(refusal, reason=HINTS.get(refusal.status, refusal.reason)).error()
