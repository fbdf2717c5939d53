"""A real OpenSSH server on loopback, with keys of its own, that lets in the user who runs the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.processes.guardian import GUARDIAN
from dagster_defs.adapters.processes.supervisor import free_port

PROGRAM = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile {folder}/pid
PasswordAuthentication no
StrictModes no
UsePAM no
"""


@contextmanager
def sshd(folder: Path) -> Iterator[dict[str, Any]]:
    """A unit's `ssh` for this server."""
    if not PROGRAM:
        pytest.skip("there is no OpenSSH server on this machine: apt-get install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(
            exist_ok=True
        )  # where it goes before anybody is known; packages leave it to systemd
    folder.mkdir()
    port = free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder))
    words = [PROGRAM, "-D", "-e", "-f", str(folder / "config")]
    server = GUARDIAN.start(words, env=dict(os.environ), stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, server)
        yield {
            "host": "127.0.0.1",
            "port": port,
            "user": getpass.getuser(),
            "key_file": str(folder / "user"),
            "options": {"UserKnownHostsFile": str(folder / "known_hosts"), "IdentitiesOnly": "yes"},
        }
    finally:
        server.terminate()
        server.wait()
        GUARDIAN.forget(server.pid)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert server.poll() is None, f"sshd ended with {server.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("sshd does not answer")
