"""The host's readings: differences, filters, and one thread that outlives its reader's defects."""

import threading
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from ansflow_gateway.domain.system import Memory, SystemSnapshot
from ansflow_gateway.sampling import host
from ansflow_gateway.sampling.cpu import CpuMeter
from ansflow_gateway.sampling.filesystems import LIMIT, choose
from ansflow_gateway.sampling.sampler import Sampler
from support.gateway import Gateway, eventually, series
from support.polling import poll_until

Times = namedtuple("Times", "user nice system idle iowait irq softirq steal guest guest_nice")


def times(**changes: float) -> Times:
    """Make a reading of Linux's fields, zero but for what is given."""
    return Times(**(dict.fromkeys(Times._fields, 0.0) | changes))


def test_cpu_shares_are_of_the_time_between_two_readings() -> None:
    """The shares cover the difference, sum to 1, and leave guest time in user, where Linux counts it."""
    meter = CpuMeter(times(user=100, idle=900, guest=50))
    cpu = meter.read(times(user=101, idle=906, irq=1, softirq=2, guest=51), 2)
    assert cpu.utilization == pytest.approx(
        {"user": 0.1, "idle": 0.6, "interrupt": 0.3, "nice": 0, "system": 0, "iowait": 0, "steal": 0}
    )
    assert cpu.time_s["user"] == 101
    assert sum(cpu.time_s.values()) == 1010


def test_a_cpu_field_that_goes_backwards_never_makes_a_counter_decrease() -> None:
    """The kernel's iowait may shrink: the total stands still, the share is zero, the others sum to 1."""
    meter = CpuMeter(times(user=10, iowait=100))
    cpu = meter.read(times(user=12, iowait=99), 2)
    assert cpu.time_s["iowait"] == 100
    assert cpu.utilization is not None
    assert cpu.utilization["iowait"] == 0
    assert sum(cpu.utilization.values()) == pytest.approx(1)
    assert meter.read(times(user=12, iowait=101), 2).time_s["iowait"] == 102


def test_without_time_passed_there_are_no_cpu_shares() -> None:
    """Two equal readings give no shares, rather than zeros."""
    assert CpuMeter(times(user=5)).read(times(user=5), 2).utilization is None


def test_cpu_modes_that_a_platform_lacks_are_absent() -> None:
    """A Mac has neither iowait nor steal: no series for them."""
    mac = namedtuple("mac", "user nice system idle")
    cpu = CpuMeter(mac(1.0, 0.0, 1.0, 8.0)).read(mac(2.0, 0.0, 1.0, 9.0), 8)
    assert cpu.time_s.keys() == {"user", "nice", "system", "idle"}


@dataclass(frozen=True)
class Mount:
    """A mount as psutil lists it."""

    device: str
    mountpoint: str
    fstype: str


def chosen(mounts: list[Mount], numbers: dict[str, int | None], physical: set[str]) -> list[str]:
    """Choose among mounts, by mountpoint."""
    real = [mount for mount in mounts if mount.fstype in physical]
    return [mount.mountpoint for mount in choose(real, mounts, lambda path: numbers.get(path, hash(path)))]


def test_a_containers_overlay_root_is_taken_and_its_bound_files_are_not() -> None:
    """A container has `/` and its volumes: no bound files, no pseudo or other containers' mounts."""
    mounts = [
        Mount("overlay", "/", "overlay"),
        Mount("proc", "/proc", "proc"),
        Mount("shm", "/run/shm", "tmpfs"),
        Mount("/dev/sda1", "/etc/hosts", "ext4"),
        Mount("/dev/sdb1", "/data", "ext4"),
        Mount("overlay", "/var/lib/docker/overlay2/x/merged", "overlay"),
    ]
    assert chosen(mounts, {"/etc/hosts": None}, {"ext4"}) == ["/", "/data"]


def test_one_filesystem_mounted_twice_is_taken_once() -> None:
    """Bind mounts and subvolumes of a device are one filesystem: `/` wins, else the shortest."""
    mounts = [
        Mount("/dev/sda2", "/srv/long", "ext4"),
        Mount("/dev/sda2", "/srv", "ext4"),
        Mount("/dev/sda1", "/home", "btrfs"),
        Mount("/dev/sda1", "/", "btrfs"),
        Mount("tank/a", "/tank/a", "zfs"),
        Mount("tank/b", "/tank/b", "zfs"),
        Mount("nas:/export", "/mnt/nas", "nfs4"),
    ]
    wanted = ["/", "/mnt/nas", "/srv", "/tank/a", "/tank/b"]
    assert chosen(mounts, {}, {"ext4", "btrfs"}) == wanted


def test_loop_mounted_images_are_left_out_and_loop_mounted_disks_kept() -> None:
    """A squashfs on a loop device is always full; an ext4 on one can be filled."""
    mounts = [
        Mount("/dev/loop0", "/snap/core/1", "squashfs"),
        Mount("/dev/loop1", "/mnt/disk", "ext4"),
        Mount("/dev/sr0", "/media/cd", "iso9660"),
    ]
    assert chosen(mounts, {}, {"ext4", "squashfs", "iso9660"}) == ["/mnt/disk"]


def test_a_later_mount_hides_an_earlier_one_on_the_same_mountpoint() -> None:
    """Only what can be seen at a path is looked at: a tmpfs over a disk hides the disk."""
    mounts = [Mount("/dev/sda1", "/data", "ext4"), Mount("tmpfs", "/data", "tmpfs")]
    assert chosen(mounts, {}, {"ext4"}) == []


def test_the_number_of_filesystems_is_bounded() -> None:
    """A host of hundreds of volumes reports the first of them."""
    mounts = [Mount(f"/dev/d{n}", f"/v/{n:03}", "ext4") for n in range(300)]
    assert len(chosen(mounts, {}, {"ext4"})) == LIMIT


def test_this_host_is_read_as_it_is() -> None:
    """Real readings agree with psutil's own, and sum to what they are parts of."""
    snapshot = host.HostReader().read(0.0)
    assert snapshot.cpu is not None
    assert snapshot.cpu.logical_count == psutil.cpu_count()
    memory = snapshot.memory
    assert memory is not None
    assert memory.used + memory.free + memory.cached == memory.total == psutil.virtual_memory().total
    (root,) = (each for each in snapshot.filesystems if each.mountpoint == "/")
    assert root.used + root.free + root.reserved == psutil.disk_usage("/").total
    assert "lo" not in {interface.name for interface in snapshot.interfaces}
    assert all(disk.read_count + disk.write_count for disk in snapshot.disks)


def test_a_file_bound_into_a_container_is_no_filesystem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of a real file and a real directory that are listed as mounts only the directory is reported."""
    file, folder = tmp_path / "hosts", tmp_path / "volume"
    file.touch()
    folder.mkdir()
    mounts = [Mount("/dev/a", str(file), "ext4"), Mount("/dev/b", str(folder), "ext4")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)  # noqa: A006 - psutil's name
    assert [each.mountpoint for each in host.read_filesystems()] == [str(folder)]


def test_memory_views_that_contradict_themselves_are_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    """More available than total, or less available than free: no state goes below zero."""
    svmem = namedtuple("svmem", "total available free")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: svmem(100, 120, 130))
    assert host.read_memory() == Memory(total=100, used=0, free=100, cached=0)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: svmem(100, 20, 50))
    assert host.read_memory() == Memory(total=100, used=80, free=20, cached=0)


def test_a_part_that_cannot_be_read_costs_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without /proc/diskstats there are no disks, everything else, and one log line, not one a sample."""

    def unreadable(**_: object) -> None:
        raise FileNotFoundError("/proc/diskstats")

    monkeypatch.setattr(psutil, "disk_io_counters", unreadable)
    reader = host.HostReader()
    for _ in range(3):
        snapshot = reader.read(0.0)
    assert snapshot.disks == ()
    assert snapshot.memory is not None
    assert len(caplog.records) == 1


class ScriptedReader:
    """Reads what a script says, in the sampler's thread."""

    def __init__(self, script: Callable[[int], None]) -> None:
        self.calls = 0
        self.threads: set[str] = set()
        self._script = script

    def read(self, taken_at: float) -> SystemSnapshot:
        """Follow the script, then return an empty snapshot."""
        self.calls += 1
        self.threads.add(threading.current_thread().name)
        self._script(self.calls)
        return SystemSnapshot(taken_at, None, None, (), (), ())


def test_the_sampler_reads_in_one_thread_and_survives_a_failing_reader() -> None:
    """An exception in a reading is followed by the next reading, in the same thread; stop ends it."""

    def fail_first(call: int) -> None:
        if call == 1:
            raise RuntimeError("boom")

    reader = ScriptedReader(fail_first)
    sampler = Sampler(reader, 0.02)
    assert sampler.snapshot is None
    sampler.start()
    try:

        def has_read() -> None:
            assert reader.calls >= 3
            assert sampler.snapshot is not None

        poll_until(has_read)
    finally:
        sampler.stop()
    assert reader.threads == {"ansflow-sampler"}
    assert "ansflow-sampler" not in {thread.name for thread in threading.enumerate()}


def test_a_stale_snapshot_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """When readings hang, the meters fall silent instead of showing a host that stands still."""
    hanging = threading.Event()
    reader = ScriptedReader(lambda call: None if call == 1 else (hanging.wait(30), None)[1])
    sampler = Sampler(reader, 0.02)
    sampler.start()
    try:

        def hangs() -> None:
            assert reader.calls == 2
            assert sampler.snapshot is not None

        poll_until(hangs)
        monkeypatch.setattr(sampler, "_stale_after_s", 0.0)
        assert sampler.snapshot is None
    finally:
        hanging.set()
        sampler.stop()


async def test_the_first_cpu_shares_are_real_and_sum_to_one(gateway: Gateway) -> None:
    """No series at all before the first sample, then at once shares of 1: never a first reading of zeros."""
    first = gateway.values("system.cpu.utilization")
    assert not first or sum(first.values()) == pytest.approx(1)

    def sampled() -> None:
        assert gateway.values("system.cpu.utilization")

    await eventually(sampled)
    utilization = gateway.values("system.cpu.utilization")
    assert sum(utilization.values()) == pytest.approx(1)
    memory = gateway.values("system.memory.utilization")
    assert sum(memory.values()) == pytest.approx(1)
    assert 0 < memory[series(system__memory__state="used")] < 1
    roots = [
        value
        for attributes, value in gateway.values("system.filesystem.utilization").items()
        if dict(attributes)["system.filesystem.mountpoint"] == "/"
    ]
    assert len(roots) == 1
    assert 0 < roots[0] <= 1
