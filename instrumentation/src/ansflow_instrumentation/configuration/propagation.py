"""No propagator is a choice, not an error in every request."""

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.propagators import textmap

__all__ = ["keep_requests_whole"]


class NoPropagator(textmap.TextMapPropagator):
    """Reads and writes nothing, and leaves the context as it is."""

    def extract(
        self,
        carrier: textmap.CarrierT,
        context: Context | None = None,
        getter: textmap.Getter[textmap.CarrierT] = textmap.default_getter,
    ) -> Context:
        """Give the context that was given, or the current one."""
        return _current() if context is None else context

    def inject(
        self,
        carrier: textmap.CarrierT,
        context: Context | None = None,
        setter: textmap.Setter[textmap.CarrierT] = textmap.default_setter,
    ) -> None:
        """Write nothing."""

    @property
    def fields(self) -> set[str]:
        """Names of the headers that are written: none."""
        return set()


def _current() -> Context:
    return context.get_current()


def keep_requests_whole() -> None:
    """Replace a global propagator that is empty (`OTEL_PROPAGATORS=none`, `propagator: {}`).

    The SDK's composite of no propagators extracts None, which instrumentations then make the current context:
    every request fails.
    """
    extracted: object = get_global_textmap().extract({})
    if extracted is None:
        set_global_textmap(NoPropagator())
