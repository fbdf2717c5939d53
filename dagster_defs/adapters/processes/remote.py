"""A command on another host, through the `ssh` executable: its processes end with it, and with the connection."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CONNECT_SECONDS = 30
ALIVE_SECONDS = 30  # between two signs of life; a host that leaves out three of them is lost
GRACE_SECONDS = 10  # for the command's own ending, before its processes are killed
FAILED = 255  # ssh's own exit code for a connection that failed or was lost

# What sshd starts leads a process group, which `kill … 0` reaches. The program reads what to do from its input, up to a
# line of its own, so that no value is ever in a list of processes, and then waits for the input's end. Login shells
# other than sh have to read it too: it is one line, and has neither a backslash that counts nor an exclamation mark.
# What the command left running is killed last, by a process that waits for the program's end: if it killed itself, its
# exit code would be the signal's. That process holds the output open, so that the connection ends after it.
_SUPERVISOR = (
    "exec 3<&0 </dev/null; text=; nl=$(printf '\\nx'); nl=${nl%x}; whole=; "
    'while IFS= read -r line <&3; do case "$line" in MARK) whole=1; break;; esac; text="$text$line$nl"; done; '
    '[ "$whole" ] || exit 1; eval "$text"; '
    "(cat <&3; trap '' TERM; kill -TERM 0; sleep GRACE; kill -KILL 0) >/dev/null 2>&1 & watcher=$!; "
    '"${SHELL:-/bin/sh}" -c "$parity_command" 3<&- & wait $!; code=$?; kill $watcher; '
    "(while kill -0 $$ 2>/dev/null; do sleep 0.1 2>/dev/null || sleep 1; done; kill -KILL 0) & exit $code"
)


@dataclass(frozen=True, slots=True)
class Host:
    """`name`: a host, or an alias of ssh's own configuration, which has the last word on what is empty here."""

    name: str
    user: str = ""
    port: int | None = None
    key_file: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def arguments(self) -> list[str]:
        own = {
            "BatchMode": "yes",  # nobody is there to type a password
            "ConnectTimeout": str(CONNECT_SECONDS),
            "ServerAliveInterval": str(ALIVE_SECONDS),
        }
        return [
            "-T",
            *(["-l", self.user] if self.user else []),
            *(["-p", str(self.port)] if self.port else []),
            *(["-i", self.key_file] if self.key_file else []),
            # ssh takes the first value of an option.
            *(part for pair in (self.options, own) for option in pair.items() for part in _option(*option)),
            "--",
            self.name,
        ]


def _option(name: str, value: str) -> tuple[str, str]:
    return "-o", f"{name}={value}"


def remote(host: Host, command: str, env: Mapping[str, str]) -> tuple[Sequence[str], bytes]:
    """The program to start here, and its input. The command is run by the login shell of the user on that host."""
    mark = secrets.token_hex(16)
    exports = [f"export {name}={shlex.quote(value)}" for name, value in env.items()]
    text = "\n".join([*exports, f"parity_command={shlex.quote(command)}", mark, ""])
    supervisor = _SUPERVISOR.replace("MARK", mark).replace("GRACE", str(GRACE_SECONDS))
    return ["ssh", *host.arguments(), f"exec sh -c {shlex.quote(supervisor)}"], text.encode()
