"""HEM_FEEDBACK_*: where feedback is kept, for how long, and what of it."""

import socket
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from predictors.contract import CLOUD, EDGE
from transformers_hem.algorithms.base import Route

_DAYS = 90.0
_ROWS = 1_000_000
_PER_MINUTE = 60_000


class FeedbackSettings(BaseModel):
    """Fields of HEM's settings."""

    feedback_store: str = Field(
        default="",
        description="feedback: where it is kept, with the decisions that it is about: a file "
        "(SQLite, of one replica), or postgresql://USER@HOST/DATABASE (default: nothing is kept)",
    )
    feedback_text: Literal["off", "on"] = Field(
        default="off",
        description="feedback: whether queries and corrected answers are kept as text; else "
        "hashes, and what a LinearRouter sees (default: off)",
    )
    feedback_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        default=_DAYS, description=f"feedback: what is older goes (default: {_DAYS:g})"
    )
    feedback_rows: Annotated[int, Field(ge=1)] = Field(
        default=_ROWS,
        description="feedback: most decisions, and most feedbacks, that are kept; the oldest go "
        f"(default: {_ROWS})",
    )
    feedback_per_minute: Annotated[int, Field(ge=0)] = Field(
        default=_PER_MINUTE,
        description="feedback: most that one client may send in a minute, to each replica; who "
        f"sends more gets 429 (default: {_PER_MINUTE}; 0: as many as come)",
    )
    feedback_sync: Literal["full", "normal"] = Field(
        default="normal",
        description="feedback: what is acknowledged survives the process, however it ends; full: "
        "in a file a power cut, too, for one flush of the disk each time (default: normal)",
    )
    feedback_shadow: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        default=0.0,
        description="feedback, gateway: share of the answers for which the other side is asked, "
        "too, so that both are scored; the cloud within guards and budget, the edge while it is "
        "idle (default: 0)",
    )
    feedback_shadow_edge: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] | None = Field(
        default=None,
        description="feedback, gateway: the same share of the cloud's answers, for which the edge "
        "is asked: that costs no call of the cloud (default: HEM_FEEDBACK_SHADOW)",
    )
    feedback_scorer: str = Field(
        default="token_f1",
        description="feedback, gateway: what scores both, as `hem label --scorer` names it; where "
        "it needs a reference that is the cloud's answer (default: token_f1)",
    )
    feedback_push: str = Field(
        default="",
        description="feedback: base URL of a central HEM server, to which what is kept here in a "
        "file is sent on as soon as it can be reached",
    )
    feedback_push_key_file: str = Field(
        default="", description="feedback: file with the key of an admin there"
    )
    feedback_origin: str = Field(
        default="",
        max_length=64,
        description="feedback: what tells this server from others (default: the host's name)",
    )

    @property
    def shadow_shares(self) -> dict[Route, float]:
        """Of the answers of each side, how many are compared with the other one's."""
        of_edge, of_cloud = self.feedback_shadow, self.feedback_shadow_edge
        return {EDGE: of_edge, CLOUD: of_edge if of_cloud is None else of_cloud}

    @property
    def origin(self) -> str:
        return self.feedback_origin or socket.gethostname()[:64]
