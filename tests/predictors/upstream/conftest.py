"""Loops of this folder's tests: `pytest.mark.asyncio(loop_factories=["quick"])` for a clock that
waits for nobody."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.clock import QuickLoop

Loops = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Loops:
    marker = item.get_closest_marker("asyncio")
    usual: Loops = {"usual": asyncio.new_event_loop}
    return (
        {**usual, "quick": QuickLoop} if marker and marker.kwargs.get("loop_factories") else usual
    )
