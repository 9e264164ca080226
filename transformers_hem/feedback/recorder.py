"""From a request that has ended to a decision in the store.

The event loop notes what it has at hand; hashes and features are made by the writer's thread.
"""

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

from predictors.contract import CLOUD
from transformers_hem.algorithms.base import SCORED_CHARACTERS, Algorithm, Batch, Route, bounded
from transformers_hem.feedback import metrics
from transformers_hem.feedback.features import packed
from transformers_hem.feedback.heard import Heard, draft_of, may_be_compared, served_as_decided
from transformers_hem.feedback.keeping import Unit
from transformers_hem.feedback.records import (
    CHAT,
    NAME_LENGTH,
    REQUEST_ID_LENGTH,
    V2,
    Decided,
    Feedback,
)
from transformers_hem.feedback.signals import Noticed, Signals, same_answer
from transformers_hem.feedback.writer import Writer
from transformers_hem.gateway.chat import REQUEST_ID, Chat
from transformers_hem.gateway.finished import Finished
from transformers_hem.reload.files import digest
from transformers_hem.routers.directory import locate
from transformers_hem.routers.fingerprints import fingerprint
from transformers_hem.serving.decision import Decider, Decision


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one request. `texts` are its queries, none where they are private. `draft`: the edge's
    answer where the cloud's, which was `heard`, came in its place."""

    at: float
    way: str
    request_id: str
    client: str
    rows: int
    decision: Decision
    texts: Sequence[str]
    served: Route | None = None
    model: str = ""
    status: int = 200
    degraded: str = ""
    shadow_share: float = 0.0
    draft: str | None = None
    heard: Heard | None = None


class Recorder:
    """`origin` tells this server from others. `keeps_text`: queries may stand in the store."""

    def __init__(self, writer: Writer, origin: str, *, keeps_text: bool) -> None:
        self._writer = writer
        self._origin = origin
        self._keeps_text = keeps_text
        self._signals = Signals()
        self._versions: WeakKeyDictionary[Algorithm, str] = WeakKeyDictionary()

    def decided(
        self, decider: Decider, decision: Decision, batch: Batch, request_id: str | None
    ) -> None:
        """A V2 request; who answers it is not known here."""
        if request_id and decision.reason not in decider.private_guards:
            self._note(
                decider,
                Seen(time.time(), V2, request_id, batch.client, batch.size, decision, batch.texts),
            )

    def listen(self, decider: Decider, chat: Chat) -> Heard | None:
        """Before it is answered: in the answer stage both answers may be there to be compared."""
        if decider.stage != "answer" or not may_be_compared(chat):
            return None
        return Heard(chat.path)

    def finished(
        self, decider: Decider, chat: Chat, finished: Finished, share: float = 0.0
    ) -> None:
        """`share`: the probability that it is scored by both sides."""
        decision = chat.decision
        if decision is None or decision.reason in decider.private_guards:
            return
        draft = draft_of(chat) if served_as_decided(chat, finished) == CLOUD else None
        seen = Seen(
            finished.at,
            CHAT,
            chat.headers[REQUEST_ID],
            chat.client,
            len(chat.texts),
            decision,
            () if chat.private else chat.texts,
            finished.by,
            finished.model,
            finished.status,
            finished.degraded,
            share,
            draft,
            None if draft is None else chat.heard,
        )
        self._note(decider, seen)

    def _note(self, decider: Decider, seen: Seen) -> None:
        if len(seen.request_id) <= REQUEST_ID_LENGTH:
            self._writer.note(partial(self._record, decider, seen))

    def _record(self, decider: Decider, seen: Seen) -> Unit:
        """In the writer's thread."""
        query = seen.texts[0] if len(seen.texts) == 1 and seen.rows == 1 else None
        said = tuple(self._signal(seen, each) for each in self._noticed(seen, query))
        return Unit((self._decided(decider, seen, query),), said)

    def _noticed(self, seen: Seen, query: str | None) -> Iterator[Noticed]:
        if query is None:
            return
        before = self._signals.asked(seen.client, seen.request_id, seen.at, query)
        if before is not None:
            yield before
        if seen.draft is not None and seen.heard is not None:
            try:
                cloud = seen.heard.text()
            except ValueError:  # no whole answer of text
                return
            if same_answer(seen.draft, cloud):
                yield Noticed(seen.request_id, "same_answer")

    def _signal(self, seen: Seen, noticed: Noticed) -> Feedback:
        metrics.SIGNALS.labels(noticed.signal).inc()
        return Feedback(
            uuid.uuid4().hex,
            self._origin,
            plain(noticed.request_id, REQUEST_ID_LENGTH),
            seen.at,
            seen.client,
            source="signal",
            signal=noticed.signal,
        )

    def _decided(self, decider: Decider, seen: Seen, query: str | None) -> Decided:
        decision = seen.decision
        scored = None
        if query is not None:
            (scored,) = bounded(Batch(1, (query,)), SCORED_CHARACTERS).texts
        return Decided(
            key=uuid.uuid4().hex,
            origin=self._origin,
            request_id=plain(seen.request_id, REQUEST_ID_LENGTH),
            at=seen.at,
            way=seen.way,
            client=seen.client,
            rows=seen.rows,
            route=decision.route,
            served=seen.served,
            model=plain(seen.model, NAME_LENGTH),
            status=seen.status,
            degraded=plain(seen.degraded, 64),
            score=decision.score,
            threshold=decision.threshold,
            reason=plain(decision.reason, NAME_LENGTH),
            algorithm=plain(decision.algorithm, NAME_LENGTH),
            router=plain(decider.router or "", 255),
            version=self._version(decider),
            shadow_share=seen.shadow_share,
            query_hash="" if query is None else fingerprint(query).hex(),
            query=plain(scored) if scored is not None and self._keeps_text else None,
            features=packed(scored) if scored is not None and not self._keeps_text else None,
        )

    def _version(self, decider: Decider) -> str:
        """Of the router's files, which are read once; a router that is loaded anew has another
        algorithm."""
        if decider.router is None:
            return ""
        if (known := self._versions.get(decider.algorithm)) is not None:
            return known
        version = digest(decider.router_directory or locate(decider.router)) or ""
        self._versions[decider.algorithm] = version
        return version


def plain(text: str, most: int | None = None) -> str:
    """As every store takes it: PostgreSQL has no NUL, and no half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:most]
