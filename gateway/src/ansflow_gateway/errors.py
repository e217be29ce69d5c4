"""The errors that the gateway raises.

::

    GatewayError
    ├── ConfigurationError   a setting has a value that can't be used (exit status 2)
    ├── ListenError          the address can't be listened on (exit status 1)
    ├── StoreError
    │   ├── StoreRefusedError       a store that must not be used (exit status 1)
    │   ├── StoreUnavailableError   it can't commit at present (503)
    │   │   └── SpoolFullError      nor does the spool take more (storage/spool.py)
    │   └── OverloadedError         too much waits to be committed (429)
    ├── UndeclaredError      code used an instrument or attribute that the catalogue doesn't declare
    └── RejectedError        something sent to the gateway is refused (domain/rejection.py)
"""


class GatewayError(Exception):
    """Base of all errors of the gateway."""


class ConfigurationError(GatewayError):
    """A setting has a value that can't be used.

    Args:
        key: Where the value came from: a flag or an environment variable.
        value: The value, ready to be printed (masked where it is a secret).
        expected: What would have been accepted.
    """

    def __init__(self, key: str, value: str, expected: str) -> None:
        super().__init__(f"{key} is {value}; expected {expected}")
        self.key = key
        self.value = value
        self.expected = expected


class ListenError(GatewayError):
    """The address can't be listened on."""


class StoreError(GatewayError):
    """Base of what goes wrong with the store."""


class StoreRefusedError(StoreError):
    """The store must not be used; the message says why, and the way out."""


class StoreUnavailableError(StoreError):
    """The store can't commit at present; what was to be stored isn't."""


class OverloadedError(StoreError):
    """Too many events wait to be committed; what was to be stored isn't."""


class UndeclaredError(GatewayError):
    """Code used an instrument or an attribute that the catalogue doesn't declare."""
