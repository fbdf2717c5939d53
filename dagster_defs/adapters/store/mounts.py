"""Whether a folder's file system has locks that exclude a process on another machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dagster_defs.errors import StoreRefused

_MOUNTS = Path("/proc/self/mountinfo")
# Buckets and remote shells that are made to look like folders. Each mount of them has locks of its own.
_WITHOUT_LOCKS = re.compile(
    r"s3fs|gcsfuse|goofys|mountpoint-s3|mount-s3|blobfuse2?|rclone|sshfs|s3ql|geesefs|ossfs|cosfs",
    re.IGNORECASE,
)
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    point: Path
    kind: str
    source: str
    options: tuple[str, ...]

    @property
    def flaw(self) -> str:
        """Why its locks exclude nobody elsewhere; empty if nothing is known against them."""
        if self.kind.startswith("fuse") and (found := _WITHOUT_LOCKS.search(f"{self.kind} {self.source}")):
            return f"it is a mount of {found[0].lower()}, whose locks exclude nobody on another machine"
        if self.kind in ("nfs", "nfs4"):
            local = [each for each in self.options if each == "nolock" or _is_local(each)]
            if local:
                return f"it is NFS, mounted with {local[0]}: its locks exclude nobody on another machine"
        return ""


def refuse_without_locks(folder: Path) -> None:
    """Raises StoreRefused. Where the system does not list its mounts, nothing is known against them."""
    try:
        listed = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    mount = mount_of(folder.resolve(), listed)
    if mount is not None and mount.flaw:
        raise StoreRefused(
            f"file:{folder}",
            mount.flaw,
            "Keep the record on a disk that all of its users share with locks, or in PostgreSQL: "
            "PARITY_STORE=postgresql://…",
        )


def mount_of(folder: Path, listed: str) -> Mount | None:
    """`listed`: the text of /proc/self/mountinfo. Of two mounts at one place, the later one covers the other."""
    found: Mount | None = None
    for mount in _mounts(listed):
        if folder.is_relative_to(mount.point) and (
            found is None or len(mount.point.parts) >= len(found.point.parts)
        ):
            found = mount
    return found


def _mounts(listed: str) -> Iterator[Mount]:
    for line in listed.splitlines():
        before, separator, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        if separator and len(left) >= 6 and len(right) >= 3:
            options = (*left[5].split(","), *right[2].split(","))
            yield Mount(Path(_plain(left[4])), right[0], _plain(right[1]), options)


def _is_local(option: str) -> bool:
    name, _, value = option.partition("=")
    return name == "local_lock" and value != "none"


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
