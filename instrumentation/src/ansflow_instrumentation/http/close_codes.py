"""The codes by which WebSockets are closed, and how many of them meters tell apart.

Source:
    https://www.rfc-editor.org/rfc/rfc6455#section-7.4
"""

__all__ = ["ABNORMAL_CLOSURE", "INTERNAL_ERROR", "NORMAL_CLOSURE", "label_of"]

NORMAL_CLOSURE = 1000
ABNORMAL_CLOSURE = 1006
INTERNAL_ERROR = 1011

MAX_APPLICATION_CODES = 50
"""Codes of applications' own (3000 to 4999) that are told apart."""

_application_codes: set[int] = set()


def label_of(code: int) -> str:
    """Give a close code as the meters have it: clients may send any of two thousand.

    Args:
        code: As it was received, or sent.

    Returns:
        The code as text; `other` for codes of applications' own beyond the first fifty.
    """
    if 1000 <= code <= 1015 or code in _application_codes:
        return str(code)
    if len(_application_codes) >= MAX_APPLICATION_CODES:
        return "other"
    _application_codes.add(code)
    return str(code)
