"""Which kind of file system a file lies on."""

from __future__ import annotations

import os
import re
from pathlib import Path

_NETWORK = {
    "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs",
    "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "smb2",
    "smb3", "smbfs", "vboxsf", "virtiofs", "wekafs",
}  # fmt: skip
_MOUNTS = Path("/proc/self/mounts")


def is_network(kind: str) -> bool:
    """Whether several machines may have a file of this kind of file system open, each with its own memory."""
    return kind in _NETWORK


def file_system(path: Path, mounts: str | None = None) -> str:
    """Kind of the file system that holds a path, as ``/proc/self/mounts`` (or `mounts`, for tests) names it; "" where
    that cannot be told."""
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text("utf-8", "surrogateescape")
        except OSError:
            return ""
    real = os.path.realpath(path)
    found, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1])
        below = real == point or real.startswith(point.rstrip("/") + "/")
        if below and len(point) >= len(found):  # of two mounts on one place the later one is seen
            found, kind = point, fields[2]
    return kind
