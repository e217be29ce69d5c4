"""The result as an SVG picture: what each set-up adds to a request, as bars, readable on light and dark."""

from collections.abc import Sequence
from html import escape

from .figures import added, spread
from .results import Measure, Part, Result
from .workloads import Workload

__all__ = ["picture"]

WIDTH = 860
LABELS = 365
BARS = 390
ROW = 38
HEAD = 46
MARGIN = 16

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.head { font-weight: 600; font-size: 15px; }
.note { font-size: 12px; fill: #59636e; }
.path { fill: #8c959f; } .rest { fill: #d0d7de; }
.ours .path { fill: #0969da; } .ours .rest { fill: #a5cdf8; }
.ours text { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; } .note { fill: #9198a1; }
  .path { fill: #848d97; } .rest { fill: #3d444d; }
  .ours .path { fill: #4493f8; } .ours .rest { fill: #1f4d8a; }
}
"""


def picture(parts: Sequence[Part]) -> str:
    """Draw the added CPU time of each set-up, a panel for each part.

    Args:
        parts: What was run.

    Returns:
        An SVG document.
    """
    drawn: list[str] = []
    y = MARGIN + 22
    drawn += [
        f'<text class="head" x="{MARGIN}" y="{y}">CPU time that a request costs more than bare, µs</text>',
        f'<text class="note" x="{MARGIN}" y="{y + 20}">Upper bar: the first workload of the tables, '
        "lower: the last. Strong: on the request path; pale: the rest of the process (servers: all).</text>",
    ]
    y += 34
    for part in parts:
        drawn += _panel(part, y)
        y += HEAD + ROW * len(_rows(part))
    y += MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" '
        f'role="img" aria-label="CPU time added to a request by each set-up">\n'
        f"<style>{STYLE}</style>\n" + "\n".join(drawn) + "\n</svg>\n"
    )


def _rows(part: Part) -> list[tuple[Result, Result]]:
    """Pair each instrumented set-up's results under the first and the last workload."""
    first, last = (part.of(workload) for workload in (part.workloads()[0], part.workloads()[-1]))
    return list(zip(first, last, strict=True))[1:]  # the bare application adds nothing


def _panel(part: Part, top: int) -> list[str]:
    first, last = part.workloads()[0], part.workloads()[-1]
    rows = _rows(part)
    largest = max((_added(part, result)[1] for pair in rows for result in pair), default=1.0)
    scale = BARS / max(largest, 1.0)
    titles = first.title if first == last else f"{first.title}; {last.title}"
    drawn = [
        f'<text class="head" x="{MARGIN}" y="{top + 26}">{escape(part.title)}</text>',
        f'<text class="note" x="{LABELS}" y="{top + 26}">{escape(titles)}</text>',
    ]
    for number, (upper, lower) in enumerate(rows):
        y = top + HEAD - 8 + number * ROW
        title = upper.setup.title.replace("**", "")
        ours = ' class="ours"' if upper.setup.zero_code else ""
        drawn += [f"<g{ours}>", f'<text x="{MARGIN}" y="{y + 15}">{escape(title)}</text>']
        drawn += _bar(part, upper, y, 14, scale)
        if lower is not upper:
            drawn += _bar(part, lower, y + 19, 7, scale)
        drawn.append("</g>")
    return drawn


def _bar(part: Part, result: Result, y: int, height: int, scale: float) -> list[str]:
    path, process = (max(cost, 0.0) for cost in _added(part, result))
    place = f'x="{LABELS}" y="{y}" height="{height}"'
    drawn = [
        f'<rect class="rest" {place} width="{process * scale:.1f}"/>',
        f'<rect class="path" {place} width="{min(path, process) * scale:.1f}"/>',
    ]
    value = f"{path:.0f} / {process:.0f}" if Measure.REQUEST_PATH in result.costs else f"{process:.0f}"
    size = 12 if height > 10 else 10
    drawn.append(
        f'<text x="{LABELS + process * scale + 6:.1f}" y="{y + height - 1}" style="font-size:{size}px">'
        f"{value}</text>"
    )
    return drawn


def _added(part: Part, result: Result) -> tuple[float, float]:
    """Give what is added on the request path, and in the whole process; a server has the latter only."""

    def median(measure: Measure) -> float:
        return spread(added(result.costs[measure], _bare(part, result.workload, measure))).median

    process = median(Measure.PROCESS)
    if Measure.REQUEST_PATH not in result.costs:
        return process, process
    return median(Measure.REQUEST_PATH), process


def _bare(part: Part, workload: Workload, measure: Measure) -> list[float]:
    return part.bare_costs(workload, measure)
