"""The text of a sequence while it is written, in parts that are the whole text in a row."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import replace
from typing import Any

from predictors.contract import Delta, ScoredToken
from predictors.engines.huggingface.sequence import Sequence, resume

BROKEN_CHARACTER = "\ufffd"  # what a tokenizer makes of the first bytes of a character


class Written:
    """Reads `sequence` from the event loop. `echoed` is what the text begins with where the query's
    prompt stands before the answer; it was given already.

    Text is held back as long as it may change: the first bytes of a character, and what may become
    a stop string. Tokens are decoded in a window that begins at the last but one part: tokenizers
    write a token's blank by what stands before it. The first window begins with what stands before
    the sequence's tokens.
    """

    def __init__(self, sequence: Sequence, echoed: str = "") -> None:
        self._sequence = sequence
        self._echoed = echoed
        self._begin = 0  # of the window
        self._read = len(sequence.before)  # tokens whose text is in `_text`, or before it
        self._text = ""
        self._given = 0  # characters of it
        self._scored = 0

    def more(self) -> Delta | None:
        """The new part of the text, as far as it will not change; None where there is none."""
        text, tokens = self._grown(), self._scores()
        return Delta(text, tokens=tokens) if text or tokens else None

    def rest(self) -> Delta:
        """The last part, of a sequence that has ended."""
        answer = self._sequence.answer()
        return Delta(
            answer.text[self._given :],
            tokens=self._scores(),
            finish_reason=self._sequence.finish_reason,
            answer=replace(answer, text=self._echoed + answer.text),
        )

    def _grown(self) -> str:
        tokens = [*self._sequence.before, *self._sequence.written()]
        if len(tokens) == self._read:
            return ""
        before = self._sequence.decode(tokens[self._begin : self._read])
        now = self._sequence.decode(tokens[self._begin :])
        if now.endswith(BROKEN_CHARACTER) or len(now) < len(before):
            return ""
        self._text += now[len(before) :]
        self._begin, self._read = self._read, len(tokens)
        end = self._before_a_stop()
        part = self._text[self._given : end]
        self._given = max(self._given, end)
        return part

    def _before_a_stop(self) -> int:
        """Where the text ends that is no part of a stop string, nor may become one. The thread that
        writes may have written one that it has not found yet."""
        stops = self._sequence.sampling.stop
        places = [at for stop in stops if (at := self._text.find(stop, self._given)) >= 0]
        if places:
            return min(places)
        longest = max((len(stop) for stop in stops), default=1) - 1
        for length in range(min(longest, len(self._text)), 0, -1):
            if any(stop.startswith(self._text[-length:]) for stop in stops):
                return len(self._text) - length
        return len(self._text)

    def _scores(self) -> tuple[ScoredToken, ...]:
        """Behind a prompt the token that ends an answer counts, too: who scores prompts sends
        max_tokens 1, and leaves out the last token of what comes (lm-eval's parse_logprobs)."""
        sequence = self._sequence
        if sequence.query.top_logprobs is None:
            return ()
        tokens = sequence.tokens if sequence.query.echo else sequence.written()
        new = range(self._scored, min(len(tokens), len(sequence.tops)))
        self._scored = new.stop
        return tuple(
            ScoredToken(
                sequence.named(tokens[i]),
                sequence.logprobs[i],
                tuple((sequence.named(token), logprob) for token, logprob in sequence.tops[i]),
                offset=len(self._echoed) if i == 0 else None,
            )
            for i in new
        )


async def as_written(
    sequence: Sequence, written: Written, run: Coroutine[Any, Any, None]
) -> AsyncGenerator[Delta]:
    """What a sequence says, while `run` runs it to its end; closed before that, that ends, too.
    Raises what `run` does."""
    news, loop = asyncio.Event(), asyncio.get_running_loop()
    sequence.on_token = lambda: resume(loop, news)
    running = asyncio.ensure_future(run)
    running.add_done_callback(lambda _: news.set())
    try:
        while not running.done():
            await news.wait()
            news.clear()
            if not running.done() and (delta := written.more()):
                yield delta
        running.result()
        yield written.rest()
    finally:
        running.cancel()
        await asyncio.wait([running])
