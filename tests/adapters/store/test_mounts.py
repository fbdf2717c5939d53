"""A folder on a file system without real locks is no place for the record."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from dagster_defs.adapters.store import mounts
from dagster_defs.adapters.store.files import FileStore
from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.adapters.store.mounts import mount_of
from dagster_defs.errors import StoreRefused
from dagster_defs.lifecycle import Unit

LISTED = r"""22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/s3 rw,nosuid,nodev shared:9 - fuse.s3fs s3fs rw,user_id=0
31 22 0:41 / /mnt/gcs rw - fuse.gcsfuse bucket rw
32 22 0:42 / /mnt/mountpoint rw - fuse mountpoint-s3 rw
33 22 0:43 / /mnt/nfs rw - nfs4 server:/export rw,vers=4.1,local_lock=none,addr=10.0.0.1
34 22 0:44 / /mnt/nolock rw - nfs server:/export rw,vers=3,nolock,local_lock=all
35 22 0:45 / /mnt/local rw - nfs server:/export rw,vers=3,local_lock=flock
36 22 0:46 / /mnt/overlay rw - fuse.fuse-overlayfs fuse-overlayfs rw
37 30 8:1 /disk /mnt/s3/disk rw - ext4 /dev/sda1 rw
38 22 8:1 / /mnt/with\040space rw - fuse.sshfs ada@host:/x rw
39 22 0:47 / /mnt/over rw - fuse.s3fs s3fs rw
40 22 8:1 / /mnt/over rw - ext4 /dev/sda2 rw
a line of another shape
"""


@pytest.mark.parametrize(
    ("folder", "flaw"),
    [
        ("/home/ada/record", ""),
        ("/mnt/s3/record", "a mount of s3fs"),
        ("/mnt/s3/disk/record", ""),
        ("/mnt/s3-not", ""),
        ("/mnt/gcs", "a mount of gcsfuse"),
        ("/mnt/mountpoint/x", "a mount of mountpoint-s3"),
        ("/mnt/nfs/x", ""),
        ("/mnt/nolock/x", "NFS, mounted with nolock"),
        ("/mnt/local/x", "NFS, mounted with local_lock=flock"),
        ("/mnt/overlay/x", ""),
        ("/mnt/with space/x", "a mount of sshfs"),
        ("/mnt/over/x", ""),
    ],
)
def test_a_mount_is_known_by_its_kind(folder: str, flaw: str) -> None:
    """Buckets and NFS with locks of one host are known; NFS with real locks, disks and overlays are not refused, and
    the deepest and latest mount counts."""
    mount = mount_of(Path(folder), LISTED)

    assert mount is not None
    assert flaw in mount.flaw
    assert bool(flaw) == bool(mount.flaw)


def test_such_a_folder_is_refused_as_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused by name for every call, reading too: what it shows may be an old copy."""
    listed = tmp_path / "mountinfo"
    listed.write_text(f"{LISTED}50 22 0:50 / {tmp_path.resolve()} rw - fuse.s3fs s3fs rw\n")
    monkeypatch.setattr(mounts, "_MOUNTS", listed)
    store = FileStore(tmp_path / "record")
    for call in (store.read, store.marks, store.create, lambda: store.moving(Unit("a", "b")).__enter__()):
        with pytest.raises(
            StoreRefused, match=r"file:.*/record: it is a mount of s3fs.*PARITY_STORE=postgresql"
        ):
            call()
    assert not store.folder.exists()


@pytest.mark.filterwarnings("ignore:flock not supported")
def test_a_soft_lock_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system has no locks at all, a lock that is only a file is refused, and not left behind."""

    def without(handle: int, how: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", without)
    with (
        pytest.raises(StoreRefused, match="its file system has no locks"),
        Ledger(tmp_path).moving(Unit("a", "b")),
    ):
        pass
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".lock"]
