"""Reading of single values; each refusal names where the value came from, and what was expected."""

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from math import nan
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from ansflow_gateway.config.sources import Given
from ansflow_gateway.domain.urls import is_http, is_probe_url
from ansflow_gateway.web import secrets, tls, tokens
from ansflow_gateway.web.reloading import Reloaded
from ansflow_gateway.web.secrets import SecretSetting
from ansflow_gateway.web.tls import TlsFiles

ValueT = TypeVar("ValueT")

WEEK_S: Final = 604_800.0
YEARS_S: Final = 10 * 366 * 86_400.0
"""Ten years, in seconds."""

TRACE_ID: Final = "{trace_id}"
"""Stands for the trace's id in a link."""

SWITCH: Final[Mapping[str, bool]] = MappingProxyType(
    {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
)
_SERVICE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]{1,253}", re.ASCII)
_TOKEN: Final = re.compile(r"[\x21-\x7e]{16,512}", re.ASCII)
_POSTGRES: Final = re.compile(r"postgres(ql)?://[^\s/?#]*(/[^\s?#]*)?(\?[^\s#]*)?", re.ASCII)


def is_loopback(host: str) -> bool:
    """Tell whether an address is reachable from this host alone.

    Args:
        host: An address, or a name, of which only `localhost` is trusted.

    Returns:
        Whether it is.
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host(given: Given) -> str:
    """Read an address or a name."""
    if not _HOST.fullmatch(given.text):
        raise given.wrong("an address or a host's name")
    return given.text


def whole(given: Given, low: int, high: int) -> int:
    """Read a whole number within bounds."""
    expected = f"a whole number from {low} to {high}"
    if not (given.text.isascii() and given.text.isdigit() and len(given.text) < 16):
        raise given.wrong(expected)
    number = int(given.text)
    if not low <= number <= high:
        raise given.wrong(expected)
    return number


def seconds(given: Given, high: float = WEEK_S, low: float = 0.01) -> float:
    """Read a number of seconds within bounds."""
    number = _float(given)
    if not low <= number <= high:
        raise given.wrong(f"a number of seconds from {low:g} to {high:.0f}")
    return number


def share(given: Given) -> float:
    """Read a share of the time: more than none, less than all."""
    number = _float(given)
    if not 0 < number < 1:
        raise given.wrong("a number above 0 and below 1")
    return number


def one_of(given: Given, choices: Mapping[str, ValueT]) -> ValueT:
    """Read one of a closed set of words."""
    try:
        return choices[given.text.lower()]
    except KeyError:
        raise given.wrong("one of " + ", ".join(choices)) from None


def services(given: Given) -> Mapping[str, str]:
    """Read pairs of name and URL."""
    expected = (
        "name=URL pairs separated by commas, with names of letters, digits and ._- and http(s), ws(s) or "
        "tcp://host:port URLs"
    )
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in given.text.split(","))):
        name, _, url = pair.partition("=")
        if not (_SERVICE_NAME.fullmatch(name) and is_probe_url(url)):
            raise given.wrong(expected)
        if name in found:
            raise given.wrong(f"each name once, not {name!r} twice")
        found[name] = url
    return MappingProxyType(found)


def url(given: Given) -> str | None:
    """Read a URL that may be left out."""
    if given.text and not is_http(given.text):
        raise given.wrong("an http or https URL")
    return given.text or None


def trace_url(given: Given) -> str | None:
    """Read a link to a trace, with a place for its id, that may be left out."""
    if given.text and not (given.text.count(TRACE_ID) == 1 and is_http(given.text.replace(TRACE_ID, "0"))):
        raise given.wrong(f"an http or https URL with {TRACE_ID} once in it")
    return given.text or None


def path(given: Given, default: Callable[[], Path]) -> Path:
    """Read a path on this host, made absolute."""
    try:
        return Path(given.text).expanduser().absolute() if given.text else default()
    except RuntimeError as error:
        raise given.wrong(f"a path ({error})") from error


def store(given: Given, default: Callable[[], Path]) -> Path | str:
    """Read where the store is: the path of a file, or the URL of a PostgreSQL database as text."""
    if "://" not in given.text:
        return path(given, default)
    if not _POSTGRES.fullmatch(given.text):
        # Never shown: it may hold a password that a slip has put in the wrong place.
        raise Given(given.key, given.text, True, given.origin).wrong("a path, or postgresql://host/database")
    return given.text


def state_directory(environ: Mapping[str, str]) -> Path:
    """Find the directory for state (XDG Base Directory Specification).

    Args:
        environ: The environment.

    Returns:
        `ansflow` below `$XDG_STATE_HOME`, where that is an absolute path, or below `~/.local/state`.

    Raises:
        RuntimeError: There is no home.
    """
    given = Path(environ.get("XDG_STATE_HOME") or "")
    home = environ.get("HOME")
    base = given if given.is_absolute() else (Path(home) if home else Path.home()) / ".local" / "state"
    return base / "ansflow"


def token(direct: Given, file: Given) -> str | None:
    """Read a token, itself or from a file."""
    _either(direct, file)
    given = direct
    if file.text:
        try:
            content = Path(file.text).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, RuntimeError, UnicodeDecodeError) as error:
            raise file.wrong(f"a readable text file ({error})") from error
        given = Given(file.key, content, True, file.origin)
        if not given.text:
            raise file.wrong("a file that isn't empty")
    if not given.text:
        return None
    if not _TOKEN.fullmatch(given.text):
        raise given.wrong("16 to 512 printable ASCII characters without spaces")
    return given.text


def secret(direct: Given, file: Given, decode: secrets.Decode = str.encode) -> SecretSetting | None:
    """Read a secret that may be left out, itself or the file that has it, and try it."""
    _either(direct, file)
    if not (direct.text or file.text):
        return None
    given = file if file.text else direct
    try:
        setting = SecretSetting(direct.text or None, Path(file.text).expanduser() if file.text else None)
        setting.source(decode)
    except (OSError, RuntimeError, ValueError) as error:
        raise given.wrong(f"a secret that can be used ({error})") from error
    return setting


def tokens_file(given: Given) -> Path | None:
    """Read the path of a tokens file that may be left out, and try it."""
    if not given.text:
        return None
    try:
        file = Path(given.text).expanduser()
        Reloaded([file], tokens.parse)
    except (OSError, RuntimeError, ValueError) as error:
        raise given.wrong(f"a TOML file of tokens ({error})") from error
    return file


def tls_files(certificate: Given, key: Given) -> TlsFiles | None:
    """Read the files of TLS, which may be left out together, and try them."""
    if not (certificate.text or key.text):
        return None
    for given, other in ((certificate, key), (key, certificate)):
        if not given.text:
            raise given.wrong(f"a PEM file, since {other.key} is given")
    try:
        files = TlsFiles(Path(certificate.text).expanduser(), Path(key.text).expanduser())
        tls.build_context(files)
    except (OSError, RuntimeError, ValueError) as error:
        raise certificate.wrong(
            f"a PEM certificate that goes with {key.key} {key.text!r} ({error})"
        ) from error
    return files


def _either(direct: Given, file: Given) -> None:
    if direct.text and file.text:
        raise file.wrong(f"nothing where {direct.key} is given too")


def _float(given: Given) -> float:
    try:
        return float(given.text)
    except ValueError:
        return nan
