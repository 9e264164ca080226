"""Decisions and feedback, as tests need them."""

import time
import uuid
from typing import Any

from transformers_hem.feedback.records import SAID, Decided, Feedback


def decided(request_id: str, **fields: Any) -> Decided:
    usual: dict[str, Any] = {
        "key": uuid.uuid4().hex,
        "origin": "here",
        "request_id": request_id,
        "at": time.time(),
        "way": "chat",
        "client": "c1",
        "rows": 1,
        "route": "edge",
        "served": "edge",
        "model": "small",
        "status": 200,
        "degraded": "",
        "score": 0.25,
        "threshold": 0.5,
        "reason": "algorithm",
        "algorithm": "LinearRouter",
        "router": "embedded:linear",
        "version": "abc",
        "query": "What is 1 + 1?",
    }
    return Decided(**{**usual, **fields})


def said(request_id: str, **fields: Any) -> Feedback:
    usual: dict[str, Any] = {
        "key": uuid.uuid4().hex,
        "origin": "here",
        "request_id": request_id,
        "at": time.time(),
        "client": "c1",
    }
    if not fields.keys() & set(SAID):
        fields["thumb_up"] = True
    return Feedback(**{**usual, **fields})
