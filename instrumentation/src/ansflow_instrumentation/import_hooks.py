"""Acts on a library when, and only when, the application imports it."""

from collections.abc import Callable
from types import ModuleType

from wrapt import register_post_import_hook

from ansflow_instrumentation.survive import survive

__all__ = ["when_imported"]


def when_imported(module_name: str, action: Callable[[ModuleType], None]) -> None:
    """Call `action` with the module once it has been imported; at once if it has been already.

    An action that raises is one warning: the application's import succeeds all the same.

    Args:
        module_name: Full dotted name. The module need not be installed.
        action: What to do with the module.
    """

    def act(module: ModuleType) -> None:
        with survive(f"Adapting the module {module_name!r}"):
            action(module)

    register_post_import_hook(act, module_name)
