"""The table's part of the page that Prometheus reads: what didn't change is not rendered again.

Each series' lines are kept, in blocks; a scrape renders the changed series' lines again and joins the blocks
that they are in. What is left to do for all the others is to copy their blocks.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ansflow_gateway.exporters.prometheus_names import Family, family, label
from ansflow_gateway.meters.points import Exemplar, HistogramPoint
from ansflow_gateway.meters.series import Series, TableMeter
from ansflow_gateway.meters.table import Table

BLOCK_SIZE: Final = 128
"""Series in a block. Measured with 1 % of 100,000 series changing, 32 to 256 make no difference: in larger
blocks fewer stay whole, of smaller ones there are more to join."""

_WORK_S: Final = 0.0005
_PAUSE_S: Final = 0.00005


class Pacer:
    """Lets other threads run now and then, long before the interpreter would make this one.

    Else each wake-up of the event loop may wait for the whole of `sys.getswitchinterval()`. The pause is a
    real one: a thread that gives the interpreter's lock up and asks for it at once mostly gets it back.
    """

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def pause(self) -> None:
        """Pause, if there was no pause for half a millisecond."""
        if time.perf_counter() - self._since > _WORK_S:
            time.sleep(_PAUSE_S)
            self._since = time.perf_counter()


class TablePage:
    """Renders a table's series, in one of two formats. Not to be called by two threads at once.

    Sources: https://prometheus.io/docs/instrumenting/exposition_formats/ and
    https://prometheus.io/docs/specs/om/open_metrics_spec/.

    Args:
        table: The table, its saved series loaded.
        open_metrics: Whether it is OpenMetrics, which has exemplars; else the older text format.
    """

    def __init__(self, table: Table, *, open_metrics: bool) -> None:
        self._changes = table.subscribe()
        self._groups = {name: _Group(meter, open_metrics) for name, meter in table.meters.items()}
        names = [group.family.name for group in self._groups.values()]
        if len(set(names)) < len(names):
            raise ValueError(f"two meters have one name in Prometheus: {sorted(names)}")

    def blocks(self, pacer: Pacer) -> Iterator[bytes]:
        """Render the present state; without the line that ends a page of OpenMetrics.

        Args:
            pacer: Called between pieces of work.

        Yields:
            Whole lines, families one after the other.
        """
        for series in self._changes.drain():
            self._groups[series.meter.declaration.name].update(series)
            pacer.pause()
        for group in self._groups.values():
            for block in group.rendered():
                pacer.pause()
                yield block


class _Block:
    """Lines of some series, and all of them in one."""

    __slots__ = ("joined", "lines")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.joined: bytes | None = None


class _Group:
    """The series of one meter."""

    def __init__(self, meter: TableMeter, open_metrics: bool) -> None:
        self.family = family(meter.declaration)
        self._head = _head(self.family, open_metrics)
        self._render = _renderer(meter, self.family, open_metrics)
        self._blocks: list[_Block] = []
        self._places: dict[Series, tuple[_Block, int]] = {}
        self._free: list[tuple[_Block, int]] = []

    def update(self, series: Series) -> None:
        """Render a series' lines again, or remove them."""
        if series.removed:
            if place := self._places.pop(series, None):
                self._put(place, b"")
                self._free.append(place)
            return
        if series not in self._places:
            self._places[series] = self._free.pop() if self._free else self._new_place()
        self._put(self._places[series], self._render(series))

    def rendered(self) -> Iterator[bytes]:
        """Yield the head and all blocks, if there is a series."""
        if not self._places:
            return
        yield self._head
        for block in self._blocks:
            if block.joined is None:
                block.joined = b"".join(block.lines)
            yield block.joined

    def _put(self, place: tuple[_Block, int], lines: bytes) -> None:
        block, index = place
        block.lines[index] = lines
        block.joined = None

    def _new_place(self) -> tuple[_Block, int]:
        if not self._blocks or len(self._blocks[-1].lines) >= BLOCK_SIZE:
            self._blocks.append(_Block())
        lines = self._blocks[-1].lines
        lines.append(b"")
        return self._blocks[-1], len(lines) - 1


def _head(family: Family, open_metrics: bool) -> bytes:
    described = family.help.replace("\\", r"\\").replace("\n", r"\n")
    if not open_metrics:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        return f"# HELP {name} {described}\n# TYPE {name} {family.type}\n".encode()
    described = described.replace('"', r"\"")
    unit = f"# UNIT {family.name} {family.unit}\n" if family.unit else ""
    return f"# HELP {family.name} {described}\n# TYPE {family.name} {family.type}\n{unit}".encode()


def _renderer(meter: TableMeter, family: Family, open_metrics: bool) -> Callable[[Series], bytes]:
    labels = [label(attribute) for attribute in meter.labels]
    if len(set(labels)) < len(labels) or "le" in labels:
        raise ValueError(f"{meter.declaration.name}: its labels aren't distinct in Prometheus: {labels}")
    name = f"{family.name}_total" if family.type == "counter" else family.name
    bounds = [*(repr(float(bound)) for bound in meter.declaration.bounds), "+Inf"]

    def render(series: Series) -> bytes:
        pairs = ",".join(
            [
                f'{name}="{_escaped(value)}"'
                for name, value in zip(labels, series.labels, strict=True)
                if value  # an empty label is an absent one
            ]
        )
        point = series.point
        if isinstance(point, HistogramPoint):
            text = "".join(_histogram(name, pairs, bounds, point, open_metrics))
        elif pairs:
            text = f"{name}{{{pairs}}} {_number(point)}\n"
        else:
            text = f"{name} {_number(point)}\n"
        # A lone surrogate can't be encoded: it is shown as a question mark, rather than losing the page.
        return text.encode(errors="replace")

    return render


def _histogram(
    name: str, pairs: str, bounds: list[str], point: HistogramPoint, open_metrics: bool
) -> Iterable[str]:
    before = f"{name}_bucket{{{pairs}," if pairs else f"{name}_bucket{{"
    total = 0
    for bound, count, exemplar in zip(bounds, point.buckets, point.exemplars, strict=True):
        total += count
        after = _exemplar(exemplar) if open_metrics and exemplar else ""
        yield f'{before}le="{bound}"}} {total}{after}\n'
    labels = f"{{{pairs}}}" if pairs else ""
    yield f"{name}_count{labels} {point.count}\n{name}_sum{labels} {_number(point.sum)}\n"


def _exemplar(exemplar: Exemplar) -> str:
    ids = f'trace_id="{exemplar.trace_id.hex()}",span_id="{exemplar.span_id.hex()}"'
    return f" # {{{ids}}} {_number(exemplar.value)} {exemplar.at:.3f}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    text = repr(value)
    return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}.get(text, text)
