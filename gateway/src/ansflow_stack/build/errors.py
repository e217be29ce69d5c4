"""What can go wrong while a binary is made ready.

BuildError
├── ToolchainError     no usable Go, and none could be had
└── CompilationError   Go, or the Collector's builder, refused
"""


class BuildError(Exception):
    """A binary could not be made ready."""


class ToolchainError(BuildError):
    """There is no Go toolchain to build with."""


class CompilationError(BuildError):
    """A step of a build ended with an error; the message carries its last lines of output."""
