"""Writing a file so that readers see the old one or the new one, never a half."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`, which takes its place when the block ends well.

    When the block raises, nothing is left behind and `path` is as it was. The temporary name ends in `.tmp`,
    so that nobody who globs for `*.parquet` or `*.csv` picks it up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    prefix = f".{path.name}.{os.getpid()}-"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        # mkstemp makes the file private; the other orchestrator may run as another user.
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """What a killed process has left of this file: its temporary one, whose name has the process's id."""
    unfinished = re.compile(re.escape(f".{path.name}.") + r"(\d+)-\w{8}\.tmp")
    for each in path.parent.iterdir():
        match = unfinished.fullmatch(each.name)
        if match and not _is_running(int(match[1])):
            each.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it runs, as another user
        return True
    return True


def write_parquet(table: pa.Table, path: Path) -> None:
    """The same rows give the same bytes: every option that shapes the file is fixed."""
    with replacing(path) as temporary:
        pq.write_table(
            table.combine_chunks(),
            temporary,
            compression="zstd",
            compression_level=3,
            row_group_size=1 << 17,
            version="2.6",
            store_schema=False,
        )
