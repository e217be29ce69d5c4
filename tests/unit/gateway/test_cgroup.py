"""The container's control group and the host's paging, read from files of the kernel's format."""

import resource
import threading
from pathlib import Path

import psutil
import pytest
from ansflow_gateway.domain.container import CpuThrottling
from ansflow_gateway.domain.system import SwapDevice, SystemSnapshot
from ansflow_gateway.meters import container, process
from ansflow_gateway.sampling import host
from ansflow_gateway.sampling.cgroup import ContainerReader, find_group
from ansflow_gateway.sampling.paging import read_paging
from ansflow_gateway.sampling.process import ProcessReader

LIMITED = {
    "cgroup.type": "domain\n",
    "cpu.max": "150000 100000\n",
    "cpu.stat": "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\n"
    "nr_periods 40\nnr_throttled 7\nthrottled_usec 1250000\nnr_bursts 0\nburst_usec 0\n",
    "cpu.pressure": "some avg10=1.00 avg60=0.50 avg300=0.10 total=2500000\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n",
    "memory.current": "104857600\n",
    "memory.max": "268435456\n",
    "memory.stat": "anon 60000000\nfile 44857600\ninactive_file 20971520\nactive_file 100\n",
    "memory.events": "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n",
    "memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
}
"""A container of 1.5 CPUs and 256 MiB."""

UNLIMITED = LIMITED | {
    "cpu.max": "max 100000\n",
    "memory.max": "max\n",
    "cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
}


def lay(folder: Path, files: dict[str, str]) -> Path:
    """Write files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def procfs(root: Path, cgroup: str) -> Path:
    """Lay out a procfs whose process is in a control group."""
    lay(root / "proc" / "self", {"cgroup": cgroup})
    return root / "proc"


def values(snapshot: SystemSnapshot) -> dict[str, dict[frozenset[str], float]]:
    """Read all of the container's and paging's instruments: values by name and attribute values."""
    readings = {**process.READINGS, **container.READINGS}
    return {
        declaration.name: {frozenset(m.attributes.values()): m.value for m in found}
        for declaration, reading in readings.items()
        if (found := list(reading(snapshot)))
    }


def test_a_limited_container_is_read_whole(tmp_path: Path) -> None:
    """Time, usage since the reading before, limits, throttling, kills and pressure, in the meters' units."""
    group = lay(tmp_path, LIMITED)
    reader = ContainerReader(group, 100.0)
    moved = LIMITED["cpu.stat"].replace("usage_usec 5000000", "usage_usec 11000000")
    (group / "cpu.stat").write_text(moved)
    read = reader.read(105.0)
    assert read is not None
    assert read.cpu is not None
    assert read.cpu.usage == pytest.approx(1.2)
    assert read.cpu.limit == 1.5
    assert read.cpu.throttling == CpuThrottling(40, 7, 1.25)
    snapshot = SystemSnapshot(0.0, None, None, (), (), (), container=read)
    only: frozenset[str] = frozenset()
    assert values(snapshot) == {
        "container.cpu.time": {frozenset({"user"}): 3.0, frozenset({"system"}): 2.0},
        "container.cpu.usage": {only: pytest.approx(1.2)},
        "ansflow.container.cpu.limit": {only: 1.5},
        "ansflow.container.cpu.periods": {only: 40},
        "ansflow.container.cpu.throttled_periods": {only: 7},
        "ansflow.container.cpu.throttled_time": {only: 1.25},
        "container.memory.usage": {only: 104_857_600},
        "container.memory.working_set": {only: 83_886_080},
        "container.memory.available": {only: 184_549_376},
        "ansflow.container.memory.limit": {only: 268_435_456},
        "ansflow.container.memory.oom_kills": {only: 2},
        "ansflow.container.pressure.stalled": {
            frozenset({"cpu", "some"}): 2.5,
            frozenset({"cpu", "full"}): 1.0,
            frozenset({"memory", "some"}): 0.0,
            frozenset({"memory", "full"}): 0.0,
        },
    }


def test_what_does_not_limit_has_no_series(tmp_path: Path) -> None:
    """Without limits there is no limit, no throttling and nothing available; time and usage remain."""
    read = ContainerReader(lay(tmp_path, UNLIMITED), 0.0).read(0.0)
    names = values(SystemSnapshot(0.0, None, None, (), (), (), container=read)).keys()
    assert names == {
        "container.cpu.time",
        "container.memory.usage",
        "container.memory.working_set",
        "ansflow.container.memory.oom_kills",
        "ansflow.container.pressure.stalled",
    }


def test_a_group_that_tells_nothing_is_none(tmp_path: Path) -> None:
    """A group whose controllers are off is absent, not a container of zeros."""
    assert ContainerReader(tmp_path, 0.0).read(1.0) is None


@pytest.mark.parametrize(
    ("own", "groups", "found"),
    [
        ("0::/\n", {"": LIMITED}, ""),
        ("0::/\n", {"": UNLIMITED}, ""),
        ("0::/\n", {"": {}}, None),
        ("0::/app\n", {"app": LIMITED}, "app"),
        ("0::/app/worker\n", {"app": LIMITED, "app/worker": UNLIMITED}, "app"),
        ("0::/app/worker\n", {"app": LIMITED, "app/worker": LIMITED}, "app/worker"),
        ("0::/app\n", {"app": UNLIMITED}, None),
        ("0::/app\n", {"app": UNLIMITED | {"memory.max": "1024\n"}}, "app"),
        ("0::/gone\n", {}, None),
        ("0::/../outside\n", {"outside": LIMITED}, None),
        ("4:memory:/app\n1:cpu:/app\n", {"app": LIMITED}, None),
        ("4:memory:/other\n0::/app\n", {"app": LIMITED}, "app"),
        ("", {"app": LIMITED}, None),
    ],
)
def test_the_group_that_is_the_container(
    tmp_path: Path, own: str, groups: dict[str, dict[str, str]], found: str | None
) -> None:
    """A namespace's root, else the nearest limited group upwards; hosts and version 1 have none."""
    mounted = lay(tmp_path / "cgroup", {"cgroup.controllers": "cpu io memory\n"})
    for name, files in groups.items():
        lay(mounted / name, files)
    assert find_group(procfs(tmp_path, own), mounted) == (None if found is None else mounted / found)


def test_without_a_cgroup2_mount_there_is_no_container(tmp_path: Path) -> None:
    """An empty directory, or one of version 1, is not asked."""
    (tmp_path / "cgroup").mkdir()
    assert find_group(procfs(tmp_path, "0::/\n"), tmp_path / "cgroup") is None


def test_this_machines_control_group_is_read_or_absent() -> None:
    """Where the kernel has a version 2 hierarchy its group is read; the readings never fall."""
    reader = host.HostReader()
    first, second = reader.read(1e9).container, reader.read(1e9 + 1).container
    if first is None or second is None:
        assert first is second is None
        return
    if first.cpu and second.cpu:
        assert all(second.cpu.time_s[mode] >= seconds for mode, seconds in first.cpu.time_s.items())
    assert all(second.stalled_s[key] >= seconds for key, seconds in first.stalled_s.items())


def test_the_host_reader_takes_container_and_paging_from_where_it_is_told(tmp_path: Path) -> None:
    """The two mount points are arguments, and one broken file costs its part alone."""
    proc = procfs(tmp_path, "0::/\n")
    lay(proc, {"vmstat": "pgfault broken\npgmajfault 1\n"})
    mounted = lay(tmp_path / "cgroup", LIMITED | {"cgroup.controllers": "cpu memory\n"})
    snapshot = host.HostReader(proc, mounted).read(1e9)
    assert snapshot.container is not None
    assert snapshot.container.memory is not None
    assert snapshot.container.memory.limit == 268_435_456
    assert snapshot.paging is None
    assert snapshot.process is not None


def test_swap_and_faults_are_read_by_device(tmp_path: Path) -> None:
    """KiB become bytes, the faults' total is split, states sum to the device."""
    lay(
        tmp_path,
        {
            "vmstat": "nr_free_pages 9\npswpin 3\npswpout 5\npgfault 1000\npgmajfault 40\n",
            "swaps": "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
            "/dev/sda3                               partition\t1000\t\t250\t\t-2\n"
            "/swap\\040file                           file\t\t2000\t\t0\t\t-3\n",
        },
    )
    paging = read_paging(tmp_path)
    assert paging is not None
    assert paging.swap == (
        SwapDevice("/dev/sda3", 1_024_000, 256_000),
        SwapDevice("/swap\\040file", 2_048_000, 0),
    )
    read = values(SystemSnapshot(0.0, None, None, (), (), (), paging=paging))
    assert read["system.paging.operations"] == {frozenset({"in"}): 3, frozenset({"out"}): 5}
    assert read["system.paging.faults"] == {frozenset({"major"}): 40, frozenset({"minor"}): 960}
    assert read["system.paging.usage"][frozenset({"/dev/sda3", "free"})] == 768_000
    assert read["system.paging.utilization"][frozenset({"/dev/sda3", "used"})] == 0.25


def test_without_swap_there_are_faults_alone(tmp_path: Path) -> None:
    """A host that doesn't swap has no swap of size zero."""
    lay(tmp_path, {"vmstat": "pswpin 0\npswpout 0\npgfault 5\npgmajfault 1\n", "swaps": "Filename Type\n"})
    snapshot = SystemSnapshot(0.0, None, None, (), (), (), paging=read_paging(tmp_path))
    assert values(snapshot).keys() == {"system.paging.faults"}


def test_a_sandbox_without_vmstat_has_no_paging(tmp_path: Path) -> None:
    """Neither a missing file nor one without the counts is a host without page faults."""
    assert read_paging(tmp_path) is None
    assert read_paging(lay(tmp_path, {"vmstat": "nr_free_pages 9\n"})) is None


def test_the_process_is_this_one() -> None:
    """Times, memory and threads are those that the operating system tells of this process."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    read = ProcessReader().read()
    after = resource.getrusage(resource.RUSAGE_SELF)
    tick_s = 0.02
    assert before.ru_utime - tick_s <= read.user_s <= after.ru_utime + tick_s
    assert before.ru_stime - tick_s <= read.system_s <= after.ru_stime + tick_s
    assert before.ru_nvcsw <= (read.voluntary_switches or 0)
    assert 0 < read.resident <= read.virtual
    assert read.threads >= threading.active_count()
    assert 0 < (read.file_descriptors or 0) <= psutil.Process().rlimit(psutil.RLIMIT_NOFILE)[0]
