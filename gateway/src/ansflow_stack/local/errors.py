"""What can go wrong while the system is run.

StackError
├── PortTakenError       a port that a process needs is held by somebody else
├── AlreadyRunningError  this run directory's system is up
├── NotRunningError      there is nothing to stop or to ask
└── StartError           a process ended, or did not become ready in time
"""


class StackError(Exception):
    """The system could not be run; the message tells a person what to do."""


class PortTakenError(StackError):
    """A port is held by another process."""


class AlreadyRunningError(StackError):
    """The system is up already."""


class NotRunningError(StackError):
    """The system is not up."""


class StartError(StackError):
    """A process did not come up."""
