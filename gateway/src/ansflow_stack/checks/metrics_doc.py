"""Writes docs/metrics.md from the catalogues."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import yaml
from ansflow_gateway.meters.catalogue import CATALOGUE
from ansflow_gateway.meters.declaration import Declaration

from ansflow_stack.build.checkout import Checkout

_PUBLISHED_HEADER = ("name", "type", "labels", "unit", "what", "made from")
_INSTRUMENT_HEADER = ("instrument", "kind", "unit", "attributes", "what")

_INTRODUCTION = """\
# Metrics

Generated from the catalogues by `make generate`; `make check` compares. Every series has the labels `job`
(`<service.namespace>/<service.name>`) and `instance` (`service.instance.id`, one a worker process) beside
its own.

The services record the instruments of the
[semantic conventions](https://opentelemetry.io/docs/specs/semconv/), by `ansflow-instrumentation`:
`http.server.request.duration` and its kin, served as `http_server_request_duration_seconds`. Where
there is no convention they record `ansflow.websocket.*`, `ansflow.cache.*` and `ansflow.eventloop.*`.
"""


def render(published: Iterable[dict[str, object]], instruments: Iterable[Declaration]) -> str:
    """Return the page, in Markdown.

    Args:
        published: the entries of published-names.catalogue.yaml.
        instruments: the gateway's declarations.
    """
    published_rows = [
        (
            f"`{entry['name']}`",
            entry["type"],
            _codes(_strings(entry["labels"])) or "-",
            entry["unit"] or "-",
            entry["description"],
            f"`{_source(entry)}`",
        )
        for entry in published
    ]
    instrument_rows = [
        (
            f"`{declared.name}`",
            declared.kind.value,
            declared.unit or "-",
            _codes(sorted(declared.attributes)) or "-",
            declared.description,
        )
        for declared in instruments
    ]
    return "\n".join(
        (
            _INTRODUCTION,
            "## Published names",
            "",
            "Made at the edge, in `collector-config/published-names.yaml`; `ansflow_cache_hit_ratio` in",
            "Prometheus (`docker/prometheus/rules/recording.yml`), with the labels `job` and `cache` only.",
            "",
            "`ansflow_http_*`, `django_http_*` and `django_request_*` are made of the services whose",
            "`service.name` is `ansflow-fastapi` or `ansflow-django`; the Collector's",
            "`ANSFLOW_FASTAPI_SERVICE` and `ANSFLOW_DJANGO_SERVICE` name others.",
            "Every service's requests are `http_server_request_duration_seconds`.",
            "",
            *_table(_PUBLISHED_HEADER, published_rows),
            "",
            "## Instruments of the gateway",
            "",
            *_table(_INSTRUMENT_HEADER, instrument_rows),
            "",
        )
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [
        f"| {' | '.join(' '.join(str(cell).split()).replace('|', chr(92) + '|') for cell in line)} |"
        for line in lines
    ]


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _strings(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(f"labels: {value!r}: expected a list")
    return [str(item) for item in value]


def _source(entry: dict[str, object]) -> str:
    source = entry["from"]
    if not isinstance(source, dict):
        raise TypeError(f"{entry['name']}: from: {source!r}: expected a mapping")
    return "`, `".join(str(source[key]) for key in ("instrument", "also") if key in source)


@click.command(help=__doc__)
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 1 if the page is not what would be written."
)
def main(check: bool) -> None:
    """Write or compare docs/metrics.md."""
    root = Checkout.find().root
    page = root / "docs" / "metrics.md"
    published = yaml.safe_load((root / "collector-config" / "published-names.catalogue.yaml").read_text())
    text = render(published, CATALOGUE.values())
    if not check:
        page.write_text(text)
    elif _read(page) != text:
        click.echo("docs/metrics.md differs from the catalogues: run `make generate`", err=True)
        sys.exit(1)


def _read(page: Path) -> str:
    return page.read_text() if page.exists() else ""


if __name__ == "__main__":
    main()
