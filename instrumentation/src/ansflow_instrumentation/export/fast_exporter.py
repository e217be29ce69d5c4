"""Puts the fast span encoder into the OTLP/HTTP exporter, which stays responsible for everything else."""

import logging
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from ansflow_instrumentation.import_hooks import when_imported

__all__ = ["encode_spans_fast"]

_logger = logging.getLogger(__name__)


class _Serialized:
    """Bytes where the exporter expects a message to serialize."""

    __slots__ = ("_content",)

    def __init__(self, content: bytes) -> None:
        self._content = content

    def SerializePartialToString(self) -> bytes:  # noqa: N802 # protobuf's name
        return self._content

    SerializeToString = SerializePartialToString


def encode_spans_fast() -> None:
    """Have the OTLP/HTTP span exporter encode by `span_encoding`, once it is imported."""
    when_imported("opentelemetry.exporter.otlp.proto.http.trace_exporter", _replace_encoder)


def _replace_encoder(exporter: ModuleType) -> None:
    stock = exporter.encode_spans  # AttributeError: another exporter, left as it is with one warning

    from ansflow_instrumentation.export.span_encoding import encode

    def encode_spans(spans: Sequence[ReadableSpan]) -> Any:
        try:
            return _Serialized(encode(spans))
        except Exception:
            # Slower is better than lost; the stock encoder leaves out what it cannot encode, and says so.
            _logger.debug("Encoding %d spans by the stock encoder", len(spans), exc_info=True)
            return stock(spans)

    exporter.encode_spans = encode_spans  # type: ignore[attr-defined] # replaced, not added
