"""All of feedback in one server: the store's writer, who tells it of decisions, and its paths."""

import asyncio

from fastapi import FastAPI

from transformers_hem.feedback.opening import Database, open_database
from transformers_hem.feedback.place import Place
from transformers_hem.feedback.recorder import Recorder
from transformers_hem.feedback.room import Retention
from transformers_hem.feedback.routes import FeedbackRoutes
from transformers_hem.feedback.writer import Writer
from transformers_hem.reload.in_force import Current
from transformers_hem.serving.settings import HEMSettings


class Collecting:
    def __init__(self, settings: HEMSettings, place: Place, current: Current) -> None:
        """Begins to open the store, in a thread: a server answers without it."""
        keeps_text = settings.feedback_text == "on"
        retention = Retention(settings.feedback_days, settings.feedback_rows)

        def open_it(create: bool) -> Database:
            return open_database(place, settings.feedback_sync, create=create)

        self._writer = Writer(open_it, retention.tidy)
        self.recorder = Recorder(self._writer, settings.origin, keeps_text=keeps_text)
        self._routes = FeedbackRoutes(
            self._writer,
            place,
            lambda: current.now.keys,
            origin=settings.origin,
            client_header=settings.client_header,
            keeps_text=keeps_text,
        )
        self._writer.start()

    def add_to(self, app: FastAPI) -> None:
        self._routes.add_to(app)

    async def close(self) -> None:
        await asyncio.to_thread(self._writer.close)
