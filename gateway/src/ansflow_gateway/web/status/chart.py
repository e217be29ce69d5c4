"""Small charts, as SVG inside the page."""

import itertools
from collections.abc import Callable
from typing import Final

from ansflow_gateway.web.status.history import LENGTH, Samples
from ansflow_gateway.web.status.markup import Markup, fill, join

HEIGHT: Final = 32
"""Height of a chart, in its own units; its width is one unit a sample."""

_MARGIN: Final = 1.0  # keeps the line's own width inside


def sparkline(samples: Samples, label: str, write: Callable[[float], str], ceiling: float | None) -> Markup:
    """Draw a line over the last samples, zero at the bottom, the latest at the right edge.

    Args:
        samples: The values; gaps stay gaps.
        label: What they are.
        write: Writes a value, for the description that stands for the picture.
        ceiling: Value at the upper edge; the greatest sample where it is None or less than that.

    Returns:
        The SVG; a description alone goes with it, so that it can be read without being seen.
    """
    known = [sample for sample in samples if sample is not None]
    if not known:
        return fill(
            '<svg class="spark" viewBox="0 0 {w} {h}" role="img">'
            "<title>{label}: no samples yet</title></svg>",
            w=LENGTH, h=HEIGHT, label=label,
        )  # fmt: skip
    top = max(*known, ceiling or 0.0, 0.0)
    first = LENGTH - len(samples)
    lines: list[Markup] = []
    numbered = enumerate(samples, first)
    for is_gap, group in itertools.groupby(numbered, key=lambda each: each[1] is None):
        if not is_gap:
            lines.append(_line([(x + 1.0, _height(value, top)) for x, value in group if value is not None]))
    return fill(
        '<svg class="spark" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img">'
        "<title>{label}: {least} to {most} lately, {last} at last</title>{lines}</svg>",
        w=LENGTH,
        h=HEIGHT,
        label=label,
        least=write(min(known)),
        most=write(max(known)),
        last=write(known[-1]),
        lines=join(lines),
    )


def _height(value: float, top: float) -> float:
    share = max(0.0, value) / top if top > 0 else 0.0
    return HEIGHT - _MARGIN - share * (HEIGHT - 2 * _MARGIN)


def _line(points: list[tuple[float, float]]) -> Markup:
    if len(points) == 1:  # a line of one point wouldn't be seen
        points = [(points[0][0] - 1, points[0][1]), points[0]]
    line = " ".join(f"{x:g},{y:.1f}" for x, y in points)
    left, right = points[0][0], points[-1][0]
    return fill(
        '<polygon points="{left},{h} {line} {right},{h}"/><polyline points="{line}"/>',
        line=line,
        left=f"{left:g}",
        right=f"{right:g}",
        h=HEIGHT,
    )
