"""Calls of integrations: the third parties that a platform uses on behalf of its projects."""

from opentelemetry import context as context_api
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from ansflow_instrumentation.business.block import Measured, MeasuredBlock, error_type_of
from ansflow_instrumentation.business.instruments import (
    ERROR_TYPE,
    INTEGRATION_TYPE,
    Instruments,
    instruments,
)
from ansflow_instrumentation.business.labels import OVERFLOW, label

__all__ = ["IntegrationCall", "current_integration_type", "integration_call"]

_TYPE_KEY = context_api.create_key(INTEGRATION_TYPE)

SUCCESS = "success"
FAILED = "failed"


class IntegrationCall(Measured):
    """A call under way; see `integration_call`."""

    __slots__ = ("_error_type", "_instruments", "_type")

    def __init__(self, integration_type: str) -> None:
        super().__init__()
        self._type = integration_type
        self._error_type = ""
        self._instruments: Instruments | None = None

    @property
    def failed(self) -> bool:
        """Whether the block has said that the call failed."""
        return bool(self._error_type)

    def fail(self, error_type: str) -> None:
        """Say that the call failed, without raising.

        Args:
            error_type: The class of the failure, of low cardinality, for the span: a status code, say.
        """
        self._error_type = label(error_type, "error_type")

    def _begin(self) -> None:
        found = self._instruments = instruments()
        if found is None:
            return
        self._type = label(self._type, "integration_type")
        admitted = found.admit_integration.admit((self._type,))[0]
        attributes: dict[str, AttributeValue] = {INTEGRATION_TYPE: self._type}
        name = "call" if admitted == OVERFLOW else f"call {admitted}"
        self._type = admitted
        # The HTTP client's span below it is the CLIENT one.
        context = context_api.set_value(_TYPE_KEY, admitted)
        self._start(found.tracer, name, SpanKind.INTERNAL, attributes, context)

    def _finish(self, duration_s: float, error: BaseException | None) -> None:
        found = self._instruments
        if found is None:
            return
        error_type = self._error_type or (error_type_of(error) if error is not None else "")
        status = FAILED if error_type else SUCCESS
        key = (self._type, status)
        found.calls.add(key)
        found.call_durations.record(key, duration_s, self._exemplar())
        self._end_span({ERROR_TYPE: error_type} if error_type else {}, error_type, error)


def current_integration_type() -> str | None:
    """Tell which integration is being called, for an HTTP client's telemetry to mark its measurements with.

    What `integration_call` counts need not be counted once more as a call of another host.

    Returns:
        The value of `ansflow.integration.type` within an `integration_call` that is recorded, else None.
    """
    found = context_api.get_value(_TYPE_KEY)
    return found if isinstance(found, str) else None


def integration_call(integration_type: str) -> MeasuredBlock[IntegrationCall]:
    """Measure a call of an integration: a block (`with`, `async with`), or each call of a decorated function.

    Records `ansflow.integration.calls` and `ansflow.integration.call.duration` with the attributes
    `integration_type` and `status`, and a span that is current in the block. The status is `success`, or
    `failed` where the block raises, is cancelled (the call did not come to its end), or says so.

    Args:
        integration_type: The kind of integration, of low cardinality: `registry`, `github`; not an address.

    Returns:
        A context manager, whose value is the `IntegrationCall`, and decorator. A value that cannot be
        recorded is one warning, and `_OTHER`; more than `ANSFLOW_BUSINESS_SERIES_LIMIT` types are
        `__overflow__`.

    Example:
        >>> @integration_call("registry")
        ... def register(name: str) -> str:
        ...     return f"registered {name}"
        >>> register("web-shop:1.4")
        'registered web-shop:1.4'
        >>> with integration_call("github") as call:
        ...     call.fail("503")
        >>> call.failed
        True
    """
    return MeasuredBlock(lambda: IntegrationCall(integration_type))
