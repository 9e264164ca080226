"""`hem chat`."""

from typing import Annotated

import typer

from inferencegraph.commands.options import DEFAULT_PORT, MaxTokens, Temperature

GATEWAY_URL = f"http://127.0.0.1:{DEFAULT_PORT + 100}/v1"


def chat(
    url: Annotated[
        str, typer.Option(help="OpenAI's API of a gateway, a predictor, or any other server.")
    ] = GATEWAY_URL,
    model: Annotated[
        str | None,
        typer.Option(
            help="The site's name routes; NAME-edge and NAME-cloud force a side. "
            "Default: the first that is listed.",
            show_default=False,
        ),
    ] = None,
    system: Annotated[
        str | None, typer.Option(help="What the model is told first.", show_default=False)
    ] = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    key_file: Annotated[
        str, typer.Option(help="File with the key; or set OPENAI_API_KEY.", show_default=False)
    ] = "",
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one answer.")] = 600.0,
) -> None:
    """A chat in the terminal: answers stream, and each says who gave it and why.

    The conversation is kept. `/new` begins another one, `/quit` or Ctrl-D ends, Ctrl-C stops an
    answer. `/up`, `/down` and `/right ANSWER` say how good the last answer was, where the server
    keeps feedback. Without a terminal each line that comes in is a message, or such a command.

    Example: `hem chat --url http://127.0.0.1:8180/v1`
    """
    import os

    from inferencegraph.commands.chatting import Conversation, converse
    from predictors.upstream.openai.endpoint import check_key, read_key

    key = (
        read_key(key_file, "--key-file")
        if key_file
        else check_key(os.environ.get("OPENAI_API_KEY", ""), "OPENAI_API_KEY")
    )
    converse(Conversation(url, key, model, system, max_tokens, temperature, timeout))
