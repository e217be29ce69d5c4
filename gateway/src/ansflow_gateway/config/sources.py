"""Where values come from: flags, then the environment, then a file, then the default."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansflow_gateway.config.options import OPTIONS, Kind, Option
from ansflow_gateway.domain.urls import MASK
from ansflow_gateway.errors import ConfigurationError
from ansflow_gateway.otel_variables import DEFAULT


@dataclass(frozen=True, slots=True)
class Given:
    """A value and where it came from, so that a refusal can name it.

    Args:
        key: The flag, the variable, or the file and the key in it.
        text: The value.
        secret: Whether it must not be shown.
        origin: What to show as its origin.
    """

    key: str
    text: str
    secret: bool
    origin: str

    def wrong(self, expected: str) -> ConfigurationError:
        """Make the refusal of the value.

        Args:
            expected: What would have been accepted.

        Returns:
            The error, to be raised by the caller.
        """
        return ConfigurationError(self.key, MASK if self.secret else repr(self.text), expected)


def resolve(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Mapping[str, Given]:
    """Find each setting's value.

    Args:
        flags: Values of flags by option name; None where a flag isn't given.
        environ: The environment; an empty variable counts as not set.

    Returns:
        A value an option, by name.

    Raises:
        ConfigurationError: The file can't be used.
    """
    config = next(option for option in OPTIONS if not option.in_file)
    file = _resolve(config, flags, environ, {})
    in_file = _read(file) if file.text else {}
    return {option.name: _resolve(option, flags, environ, in_file) for option in OPTIONS}


def _resolve(
    option: Option, flags: Mapping[str, str | None], environ: Mapping[str, str], in_file: Mapping[str, Given]
) -> Given:
    flag = flags.get(option.name)
    if flag is not None:
        return Given(option.flag, flag, option.secret, option.flag)
    variable = environ.get(option.variable)
    if variable:
        return Given(option.variable, variable, option.secret, option.variable)
    if option.name in in_file and in_file[option.name].text:
        return in_file[option.name]
    return Given(option.flag, option.default, option.secret, DEFAULT)


def _read(file: Given) -> Mapping[str, Given]:
    path = Path(file.text).expanduser()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, RuntimeError, ValueError) as error:
        raise file.wrong(f"a readable TOML file ({error})") from error
    options = {option.name: option for option in OPTIONS if option.in_file}
    values: dict[str, Given] = {}
    for name, value in document.items():
        key = f"{path}: {name}"
        if name not in options:
            near = difflib.get_close_matches(name.replace("-", "_"), options, 1)
            hint = f"; is {near[0]} meant?" if near else ""
            raise ConfigurationError(key, "unknown", f"a name of the flags', with _ for -{hint}")
        values[name] = _typed(options[name], value, key)
    return values


def _typed(option: Option, value: object, key: str) -> Given:
    text: str | None = None
    match option.kind, value:
        case ((Kind.TEXT | Kind.PAIRS), str()):
            text = value
        case Kind.PAIRS, dict() if all(isinstance(url, str) and "," not in url for url in value.values()):
            text = ",".join(f"{name}={url}" for name, url in value.items())
        case Kind.SWITCH, bool():
            text = "yes" if value else "no"
        case ((Kind.WHOLE | Kind.NUMBER), int()) if not isinstance(value, bool):
            text = str(value)
        case Kind.NUMBER, float():
            text = repr(value)
        case _:
            shown = MASK if option.secret else repr(value)[:120]
            raise ConfigurationError(key, shown, option.kind.value)
    return Given(key, text, option.secret, key)
