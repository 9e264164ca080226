"""The curve of an estimate as SVG: what is lost over the share of queries at the edge.

Colours are told apart by the colour-blind, and lines by their strokes where there are no colours.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from inferencegraph.evaluate.estimating.result import CurvePoint, Estimate

WIDTH, HEIGHT = 420.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 50.0, 22.0, 14.0, 44.0
_INK, _FAINT, _ROUTER, _LIMIT = "#333", "#ddd", "#1b5e9e", "#b03a20"
_STEPS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def figure(found: Estimate) -> str:
    """The element `svg`; empty where there is no curve."""
    if not found.curve:
        return ""
    axes = _Axes(found)
    parts = [*axes.grid(), *_band(axes, found.curve), *_random(axes, found)]
    parts += [_line(axes, found.curve, f'stroke="{_ROUTER}" stroke-width="2.5"')]
    parts += [*_allowed(axes, found), *_chosen(axes, found)]
    label = escape(f"{found.measured} lost over the share of queries at the edge", quote=True)
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{label}" '
        f'font-size="12" fill="{_INK}">' + "".join(parts) + "</svg>"
    )


class _Axes:
    """From shares and losses to places."""

    def __init__(self, found: Estimate) -> None:
        limit = found.aim.max_quality_loss or 0.0
        means = [point.loss for point in found.curve]
        # Intervals of few rows are wide: they may leave the picture, the curve may not.
        seen = max(*means, limit, 0.02)
        ends = [point.interval.high for point in found.curve]
        self.high = min(max(ends), 1.6 * seen)
        self.low = max(min(0.0, *means, *(p.interval.low for p in found.curve)), -0.5 * seen)

    def x(self, share: float) -> float:
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, loss: float) -> float:
        within = min(max(loss, self.low), self.high)
        return _TOP + (self.high - within) / (self.high - self.low) * (HEIGHT - _TOP - _BOTTOM)

    def grid(self) -> list[str]:
        span = self.high - self.low
        step = next(step for step in _STEPS if span / step <= 6 or step == _STEPS[-1])
        losses = [step * i for i in range(math.ceil(self.low / step), int(self.high / step) + 1)]
        foot, end = HEIGHT - _BOTTOM, WIDTH - _RIGHT
        lines = [
            f'<path d="M{_LEFT:g} {self.y(loss):.1f}H{end:g}" stroke="{_FAINT}"/>'
            + _text(
                _LEFT - 6, self.y(loss) + 4, f"{loss:g}" if step >= 0.01 else f"{loss:.3f}", "end"
            )
            for loss in (round(each, 4) for each in losses)
        ]
        shares = [
            _text(self.x(share / 4), foot + 16, f"{share * 25}%", "middle") for share in range(5)
        ]
        title = _text((_LEFT + end) / 2, HEIGHT - 8, "share of queries at the edge", "middle")
        middle = (_TOP + foot) / 2
        turned = (
            f'<text transform="translate(12 {middle:.0f}) rotate(-90)" text-anchor="middle">'
            "loss against cloud-only</text>"
        )
        return [*lines, *shares, title, turned]


def _band(axes: _Axes, curve: Sequence[CurvePoint]) -> list[str]:
    """Of the points' intervals."""
    there = [f"{axes.x(p.edge_share):.1f} {axes.y(p.interval.high):.1f}" for p in curve]
    back = [f"{axes.x(p.edge_share):.1f} {axes.y(p.interval.low):.1f}" for p in reversed(curve)]
    return [f'<path d="M{"L".join([*there, *back])}Z" fill="{_ROUTER}" fill-opacity=".15"/>']


def _line(axes: _Axes, curve: Sequence[CurvePoint], stroke: str) -> str:
    places = [f"{axes.x(p.edge_share):.1f} {axes.y(p.loss):.1f}" for p in curve]
    start = f"{axes.x(0):.1f} {axes.y(0):.1f}"
    return f'<path d="M{"L".join([start, *places])}" fill="none" {stroke}/>'


def _random(axes: _Axes, found: Estimate) -> list[str]:
    """What a coin loses, which knows no query from another."""
    gap = found.quality.cloud - found.quality.edge
    if gap <= 0:
        return []
    end = min(1.0, axes.high / gap)
    return [
        f'<path d="M{axes.x(0):.1f} {axes.y(0):.1f}L{axes.x(end):.1f} {axes.y(end * gap):.1f}" '
        'stroke="#777" stroke-width="1.5" stroke-dasharray="2 3" fill="none"/>'
    ]


def _allowed(axes: _Axes, found: Estimate) -> list[str]:
    limit = found.aim.max_quality_loss
    if limit is None:
        return []
    at = axes.y(limit)
    return [
        f'<path d="M{_LEFT:g} {at:.1f}H{WIDTH - _RIGHT:g}" stroke="{_LIMIT}" stroke-width="1.5" '
        'stroke-dasharray="7 4"/>',
        _text(_LEFT + 6, at - 6, f"allowed: {limit:g}", "start", _LIMIT),
    ]


def _chosen(axes: _Axes, found: Estimate) -> list[str]:
    if found.threshold is None or found.loss is None:
        return []
    x, y = axes.x(found.edge_share), axes.y(found.loss)
    side, off = ("end", -9) if found.edge_share > 0.6 else ("start", 9)
    return [
        f'<path d="M{x:.1f} {y:.1f}V{HEIGHT - _BOTTOM:g}" stroke="{_INK}" stroke-dasharray="1 2"/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="{_INK}" stroke="#fff" stroke-width="2"/>',
        _text(x + off, HEIGHT - _BOTTOM - 8, f"{found.edge_share:.1%} stay", side),
    ]


def _text(x: float, y: float, text: str, anchor: str, color: str = _INK) -> str:
    """With a white rim, legible on a line."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}" stroke="#fff" '
        f'stroke-width="3" paint-order="stroke">{escape(text)}</text>'
    )
