"""The server that checks drafts."""

from typing import Any

from pydantic import ValidationError

from predictors.contract.speculation import (
    MODEL_PATH,
    PATH,
    Forgotten,
    Round,
    Verdict,
    VerifyModel,
    Whole,
)
from predictors.errors import HEMError
from predictors.upstream.attempt import Refusal
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.settings import HTTPUpstreamSettings


class RemoteVerifier:
    """Raises ConfigurationError for a CA bundle or a proxy that is not valid."""

    def __init__(self, url: str, settings: HTTPUpstreamSettings) -> None:
        self._http = HTTPUpstream(
            url,
            settings,
            settings.client(),
            headers=settings.headers(),
            refused=_refused,
            health=MODEL_PATH,
        )

    @property
    def url(self) -> str:
        return self._http.url

    async def model(self) -> VerifyModel:
        """Raises UpstreamError."""
        return await self._http.get(MODEL_PATH, _model)

    async def check(self, round: Round, whole: Whole, vocabulary: int) -> Verdict:
        """`whole` is told where the server has forgotten the sequence. A round may be told twice:
        the server answers both alike. Raises InvalidRequest, UpstreamError, Overloaded."""

        def read(body: Any) -> Verdict:
            return Verdict.parse(body, round, vocabulary)

        try:
            return await self._http.post(PATH, round.to_json(), read)
        except Forgotten:
            return await self._http.post(PATH, round.told(whole).to_json(), read)

    async def close(self) -> None:
        await self._http.close()


def _model(body: Any) -> VerifyModel:
    try:
        return VerifyModel.model_validate(body)
    except ValidationError as error:
        raise ValueError(f"no model that checks drafts: {error.errors()[0]['msg']}") from None


def _refused(refusal: Refusal) -> HEMError:
    if refusal.status == Forgotten.status:
        return Forgotten(refusal.reason)
    return refusal.relayed()
