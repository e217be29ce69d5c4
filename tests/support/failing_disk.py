"""A disk that fails while a flag file exists: a library that is loaded before libc."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

_CODE: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* While the file $FAILING_DISK_FLAG exists, the calls that it names fail on files whose path holds ".db". */
static int fails(int fd, const char *call) {
    char calls[64] = {0}, link[64], path[4096] = {0};
    const char *name = getenv("FAILING_DISK_FLAG");
    FILE *flag = name ? fopen(name, "r") : NULL;
    if (!flag) return 0;
    size_t length = fread(calls, 1, sizeof calls - 1, flag);
    fclose(flag);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return length && strstr(calls, call) && readlink(link, path, sizeof path - 1) > 0 && strstr(path, ".db");
}

#define ORIGINAL(type, name) static type original; if (!original) original = (type)dlsym(RTLD_NEXT, name)

typedef int (*sync_t)(int);
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

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    ORIGINAL(pwrite_t, "pwrite");
    if (fails(fd, "full")) { errno = ENOSPC; return -1; }
    return original(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
    ORIGINAL(pwrite_t, "pwrite64");
    if (fails(fd, "full")) { errno = ENOSPC; return -1; }
    return original(fd, data, size, at);
}
"""


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
