"""In front of all routes: the bytes that calls in flight hold, bodies and what is read for them."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from predictors.memory import ByteBudget


class ByteGate:
    """Counts the bytes of each body as they come. Where there are too many, the next one that reads
    the body gets Overloaded, a 503."""

    def __init__(self, app: ASGIApp, budget: ByteBudget) -> None:
        self.app = app
        self.budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        with self.budget.call() as hold:

            async def counted() -> Message:
                message = await receive()
                hold.take(len(message.get("body", b"")))
                return message

            await self.app(scope, counted, send)
