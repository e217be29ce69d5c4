"""A disk that fails while a flag file exists: a library that is loaded before libc.

The flag file says what fails: `sync` (EIO), `full` (ENOSPC), or `torn`: a disk that becomes full, and takes a
part of what is written. Behind a space it may say where: on files whose path holds that text, else `.db`.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

_CODE: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* While the file $FAILING_DISK_FLAG exists, what it names fails on files whose path holds its second word. */
static int fails(int fd, const char *fault) {
    char said[64] = {0}, link[64], path[4096] = {0};
    const char *name = getenv("FAILING_DISK_FLAG"), *where = ".db";
    FILE *flag = name ? fopen(name, "r") : NULL;
    if (!flag) return 0;
    size_t length = fread(said, 1, sizeof said - 1, flag);
    fclose(flag);
    char *space = strchr(said, ' ');
    if (space) { *space = 0; where = space + 1; }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return length && !strcmp(said, fault) && readlink(link, path, sizeof path - 1) > 0 && strstr(path, where);
}

/* How many of so many bytes the disk takes; -1 for none at all. */
static ssize_t taken(int fd, size_t size) {
    if (fails(fd, "full")) return -1;
    if (fails(fd, "torn")) return size < 512 ? -1 : (ssize_t)(size / 2);
    return (ssize_t)size;
}

#define ORIGINAL(type, name) static type original; if (!original) original = (type)dlsym(RTLD_NEXT, name)

typedef int (*sync_t)(int);
typedef ssize_t (*write_t)(int, const void *, size_t);
typedef ssize_t (*pwrite_t)(int, const void *, size_t, off_t);

int fsync(int fd) {
    ORIGINAL(sync_t, "fsync");
    if (fails(fd, "sync")) { errno = EIO; return -1; }
    return original(fd);
}

int fdatasync(int fd) {
    ORIGINAL(sync_t, "fdatasync");
    if (fails(fd, "sync")) { errno = EIO; return -1; }
    return original(fd);
}

ssize_t write(int fd, const void *data, size_t size) {
    ORIGINAL(write_t, "write");
    ssize_t part = taken(fd, size);
    if (part < 0) { errno = ENOSPC; return -1; }
    return original(fd, data, part);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    ORIGINAL(pwrite_t, "pwrite");
    ssize_t part = taken(fd, size);
    if (part < 0) { errno = ENOSPC; return -1; }
    return original(fd, data, part, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
    ORIGINAL(pwrite_t, "pwrite64");
    ssize_t part = taken(fd, size);
    if (part < 0) { errno = ENOSPC; return -1; }
    return original(fd, data, part, at);
}
"""


@dataclass(frozen=True)
class FailingDisk:
    """A disk that fails when it is told to.

    Attributes:
        library: What is loaded before libc.
        flag: The file that says what fails.
    """

    library: Path
    flag: Path

    @property
    def environ(self) -> dict[str, str]:
        """Variables of a process that has its files on this disk."""
        return {"LD_PRELOAD": str(self.library), "FAILING_DISK_FLAG": str(self.flag)}

    def fail(self, fault: str, where: str = ".db") -> None:
        """Fail from now on: `sync`, `full` or `torn`, on files whose path holds a text."""
        self.flag.write_text(f"{fault} {where}")

    def mend(self) -> None:
        """Fail no longer."""
        self.flag.unlink(missing_ok=True)


def make_disk(folder: Path) -> FailingDisk:
    """Compile the library; skip the test, or fail it in CI, where there is no compiler."""
    if compiler() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have a C compiler")
        pytest.skip("no C compiler")
    return FailingDisk(build(folder), folder / "flag")


def compiler() -> str | None:
    """Find a C compiler."""
    return shutil.which("cc") or shutil.which("gcc")


def build(folder: Path) -> Path:
    """Compile the library; its name goes into `LD_PRELOAD`.

    Args:
        folder: Where to.

    Returns:
        The library.
    """
    found = compiler()
    assert found is not None, "no C compiler"
    source, library = folder / "failing_disk.c", folder / "failing_disk.so"
    source.write_text(_CODE)
    subprocess.run([found, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library
