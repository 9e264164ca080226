"""All of feedback in one server: the store's writer, who tells it of decisions, and its paths."""

import asyncio

from fastapi import FastAPI

from predictors.upstream.openai.endpoint import read_key
from transformers_hem.feedback.database import Database
from transformers_hem.feedback.opening import open_database
from transformers_hem.feedback.place import Place
from transformers_hem.feedback.pushing import Pusher
from transformers_hem.feedback.rate import Rate
from transformers_hem.feedback.recorder import Recorder
from transformers_hem.feedback.room import Retention
from transformers_hem.feedback.routes import FeedbackRoutes
from transformers_hem.feedback.shadow import Shadow
from transformers_hem.feedback.steady import SteadyClock
from transformers_hem.feedback.writer import Writer
from transformers_hem.labels.scorers.options import make_scorer
from transformers_hem.reload.in_force import Current
from transformers_hem.serving.settings import HEMSettings


class Collecting:
    def __init__(self, settings: HEMSettings, place: Place, current: Current) -> None:
        """Begins to open the store, in a thread: a server answers without it. Raises
        ConfigurationError for a scorer that there is not."""
        keeps_text = settings.feedback_text == "on"
        retention = Retention(settings.feedback_days, settings.feedback_rows, SteadyClock().now)

        def open_it(create: bool) -> Database:
            return open_database(place, settings.feedback_sync, create=create)

        self._writer = Writer(open_it, retention.tidy)
        self.recorder = Recorder(self._writer, settings.origin, keeps_text=keeps_text)
        self.shadow: Shadow | None = None
        if any((shares := settings.shadow_shares).values()):
            name = settings.feedback_scorer
            scorer = make_scorer(name, ())
            self.shadow = Shadow(self._writer, settings.origin, shares, name, scorer)
        self._routes = FeedbackRoutes(
            self._writer,
            place,
            lambda: current.now.keys,
            origin=settings.origin,
            client_header=settings.client_header,
            keeps_text=keeps_text,
            rate=Rate(settings.feedback_per_minute),
        )
        self._writer.start()
        self._pusher: Pusher | None = None
        if settings.feedback_push:
            key_file = settings.feedback_push_key_file
            key = read_key(key_file, "HEM_FEEDBACK_PUSH_KEY_FILE") if key_file else ""
            self._pusher = Pusher(place, self._writer, settings.feedback_push, key)
            self._pusher.start()

    def add_to(self, app: FastAPI) -> None:
        self._routes.add_to(app)

    async def close(self) -> None:
        if self.shadow is not None:
            await self.shadow.close()
        if self._pusher is not None:
            await asyncio.to_thread(self._pusher.close)
        await asyncio.to_thread(self._writer.close)
