"""Secrets, tokens and certificates out of files that change."""

import asyncio
import logging
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from ansflow_gateway.web.reloading import CHECK_INTERVAL_S, MAX_FILE_BYTES, Reloaded
from ansflow_gateway.web.secrets import SecretSetting, parse
from ansflow_gateway.web.tls import TlsFiles, build_context

OLD, NEW = b"the-old-secret-example", b"the-new-secret-example"


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: float = 100.0

    def __call__(self) -> float:
        """Tell the present time."""
        return self.now


def reloaded(file: Path, clock: Clock) -> Reloaded[tuple[bytes, ...]]:
    """Read secrets out of a file."""
    return Reloaded([file], lambda content: tuple(parse(content)), clock)


@pytest.mark.parametrize("how", ["in place", "renamed", "symbolic link"])
def test_a_changed_file_is_read_again_without_a_restart(tmp_path: Path, how: str) -> None:
    """However it was changed, a second later the new secret is valid beside the former one."""
    clock, file = Clock(), tmp_path / "secret"
    target = tmp_path / "v1"
    target.write_bytes(OLD)
    file.symlink_to(target)
    secrets = reloaded(file, clock)
    assert secrets() == (OLD,)
    both = NEW + b"\n" + OLD + b"\n"
    if how == "in place":
        target.write_bytes(both)
    else:
        (tmp_path / "v2").write_bytes(both)
        if how == "renamed":
            (tmp_path / "v2").replace(file)
        else:
            (tmp_path / "link").symlink_to(tmp_path / "v2")
            (tmp_path / "link").replace(file)
    assert secrets() == (OLD,)
    clock.now += CHECK_INTERVAL_S
    assert secrets() == (NEW, OLD)


def test_a_change_of_the_same_length_and_time_of_day_is_noticed_by_its_inode(tmp_path: Path) -> None:
    """Two secrets are often of one length, and some tools set a file's time."""
    clock, file = Clock(), tmp_path / "secret"
    file.write_bytes(OLD)
    secrets = reloaded(file, clock)
    other = tmp_path / "other"
    other.write_bytes(NEW)
    times = file.stat()
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(file)
    clock.now += CHECK_INTERVAL_S
    assert secrets() == (NEW,)


def test_a_file_that_is_gone_or_broken_leaves_the_last_good_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, without what is in it, until there is a good one again."""
    clock, file = Clock(), tmp_path / "secret"
    file.write_bytes(OLD)
    secrets = reloaded(file, clock)
    for content in (None, b"short", b"", b"x" * (MAX_FILE_BYTES + 1)):
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        clock.now += CHECK_INTERVAL_S
        assert secrets() == (OLD,)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "short" not in caplog.text
    file.write_bytes(NEW)
    clock.now += CHECK_INTERVAL_S
    assert secrets() == (NEW,)
    file.unlink()
    clock.now += CHECK_INTERVAL_S
    assert secrets() == (NEW,)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    """It is made once, and looked at no more than once a second."""
    made: list[bytes] = []

    def make(content: bytes) -> int:
        made.append(content)
        return len(made)

    clock, file = Clock(), tmp_path / "file"
    file.write_bytes(b"1")
    value = Reloaded([file], make, clock)
    for _ in range(5):
        clock.now += CHECK_INTERVAL_S
        assert value() == 1
    file.write_bytes(b"22")
    assert value() == 1
    clock.now += CHECK_INTERVAL_S
    assert value() == 2
    assert made == [b"1", b"22"]


@pytest.mark.parametrize(
    ("content", "secrets"),
    [
        (OLD, [OLD]),
        (b"\n " + OLD + b" \r\n\n" + NEW + b"\n", [OLD, NEW]),
        (b"It's a Secret to Everybody", [b"It's a Secret to Everybody"]),
    ],
)
def test_a_secret_is_a_line_and_the_one_before_it_another(content: bytes, secrets: list[bytes]) -> None:
    """Space around them and empty lines don't count; space within them does."""
    assert list(parse(content)) == secrets
    assert list(SecretSetting(content.decode(), None).source()()) == secrets


async def shown_certificate(server: TestServer, authority: trustme.CA, **options: object) -> str:
    """Connect, and give the name on the certificate that the server shows."""
    context = ssl.create_default_context()
    context.check_hostname = False
    authority.configure_trust(context)
    for name, value in options.items():
        setattr(context, name, value)
    _, writer = await asyncio.open_connection(server.host, server.port, ssl=context)
    certificate = writer.get_extra_info("peercert")
    writer.close()
    await writer.wait_closed()
    ((_, name),) = certificate["subjectAltName"]
    return str(name)


def issue(authority: trustme.CA, files: TlsFiles, name: str) -> None:
    """Put a new certificate and its key where the gateway reads them, one after the other."""
    issued = authority.issue_cert(name)
    files.key.write_bytes(issued.private_key_pem.bytes())
    files.certificate.write_bytes(issued.cert_chain_pems[0].bytes())


async def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path) -> None:
    """Between the change of the key and that of the certificate, the former pair stays."""
    authority, clock = trustme.CA(), Clock()
    files = TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem")
    issue(authority, files, "old.example.test")
    server = TestServer(web.Application())
    await server.start_server(ssl=build_context(files, clock))
    try:
        assert await shown_certificate(server, authority) == "old.example.test"
        before = files.certificate.read_bytes()
        issue(authority, files, "new.example.test")
        renewed = files.certificate.read_bytes()
        files.certificate.write_bytes(before)
        clock.now += CHECK_INTERVAL_S
        assert await shown_certificate(server, authority) == "old.example.test"
        files.certificate.write_bytes(renewed)
        clock.now += CHECK_INTERVAL_S
        assert await shown_certificate(server, authority) == "new.example.test"
    finally:
        await server.close()


def test_tls_begins_at_1_2(tmp_path: Path) -> None:
    """Older versions aren't offered; a key with a password is refused rather than asked for."""
    authority = trustme.CA()
    files = TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem")
    issue(authority, files, "gateway.example.test")
    assert build_context(files).minimum_version is ssl.TLSVersion.TLSv1_2
    files.key.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----\n")
    with pytest.raises((OSError, ValueError)):
        build_context(files)
