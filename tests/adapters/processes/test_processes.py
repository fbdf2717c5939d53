"""Child processes: none outlives its supervisor."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from dagster_defs.adapters.processes import guardian, waiting
from dagster_defs.adapters.processes.supervisor import Supervisor, chosen_port, free_port
from dagster_defs.errors import PortInUse, ServerDied, ServerSilent
from dagster_defs.settings import Settings
from demo.postgres import end_leftover_postgres

# A child that starts a child of its own, says so, and would stay for ever.
FAMILY = """
import os, subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(grandchild.pid, flush=True)
time.sleep(600)
"""
SUPERVISE = """
import os, signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # inherited as ignored by what a script runs behind
from dagster_defs.adapters.processes import guardian, waiting
from demo.postgres import end_leftover_postgres
from dagster_defs.adapters.processes.supervisor import Supervisor
with Supervisor(Path(sys.argv[1])) as supervisor:
    child = supervisor.start("family", [sys.executable, "-c", sys.argv[2]], env=dict(os.environ))
    supervisor.wait_until("family", lambda: child.log.read_text().strip() != "", seconds=30)
    print(child.process.pid, child.log.read_text().strip(), flush=True)
    supervisor.wait_until("nothing", lambda: False, seconds=600)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that PostgreSQL can reach: started by root, it runs as another user."""
    with TemporaryDirectory(prefix="parity-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def eventually(fact: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def gone(*pids: int) -> bool:
    """Whether none of them runs; a zombie that nobody has waited for yet counts as gone."""
    return all(
        not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE for pid in pids
    )


def start_family(supervisor: Supervisor) -> tuple[int, int]:
    child = supervisor.start("family", [sys.executable, "-c", FAMILY], env=dict(os.environ))
    supervisor.wait_until("family", lambda: child.log.read_text().strip() != "", seconds=30)
    return child.process.pid, int(child.log.read_text())


def start_supervisor(folder: Path, family: str = FAMILY) -> tuple[subprocess.Popen[str], list[int]]:
    """A process with a supervisor, and the ids of the child and of what that has started."""
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, str(folder), family], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, [int(pid) for pid in process.stdout.readline().split()]


def guardians(parent: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(parent).children() if guardian.__file__ in child.cmdline()]


def test_children_and_theirs_end_with_the_block(tmp_path: Path) -> None:
    """A child and what it has started are gone when the block is left."""
    with Supervisor(tmp_path) as supervisor:
        child, grandchild = start_family(supervisor)
        assert not gone(child)
        assert not gone(grandchild)

    assert eventually(lambda: gone(child, grandchild))


def test_they_end_when_the_block_fails(tmp_path: Path) -> None:
    """An error in the block ends every child too."""
    pids: tuple[int, ...] = ()
    with pytest.raises(RuntimeError, match="boom"), Supervisor(tmp_path) as supervisor:  # noqa: PT012 - the block is the subject
        pids = start_family(supervisor)
        raise RuntimeError("boom")

    assert eventually(lambda: gone(*pids))


def test_they_end_on_ctrl_c(tmp_path: Path) -> None:
    """SIGINT to the supervising process ends the whole family."""
    process, pids = start_supervisor(tmp_path)
    with process:
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(timeout=300) != 0
        finally:
            process.kill()  # else the block would wait for it for ever

    assert eventually(lambda: gone(*pids))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL, signal.SIGQUIT])
def test_they_end_with_a_parent_that_tidies_nothing_up(tmp_path: Path, number: signal.Signals) -> None:
    """Whatever ends the parent, kill -9 too, ends the children, and theirs, within seconds."""
    process, pids = start_supervisor(tmp_path)
    with process:
        process.send_signal(number)
        process.wait(timeout=300)

    assert len(pids) == 2
    assert eventually(lambda: gone(*pids))


SCATTERED = """
import os, subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
in_a_session = subprocess.Popen(sleep, start_new_session=True)
if os.fork() == 0:  # a daemon: its parent is gone, its session is its own
    os.setsid()
    daemon = subprocess.Popen(sleep, start_new_session=True)
    print(in_a_session.pid, daemon.pid, flush=True)
    os._exit(0)
os.wait()
time.sleep(600)
"""


def test_those_that_have_left_the_group_end_too(tmp_path: Path) -> None:
    """A grandchild in a session of its own, and a daemon whose parent has ended, go with a parent that was killed."""
    process, pids = start_supervisor(tmp_path, SCATTERED)
    with process:
        assert not any(map(gone, pids))
        process.kill()

    assert len(pids) == 3
    assert eventually(lambda: gone(*pids))


START_BARE = """
import sys
from dagster_defs.adapters.processes.guardian import GUARDIAN
bare = GUARDIAN.start([sys.executable, "-c", sys.argv[1]], stdout=sys.stdout)
bare.wait()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_what_a_test_starts_ends_with_it(number: signal.Signals) -> None:
    """A server that was started without a supervisor ends, with its family, when whoever started it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", START_BARE, FAMILY.replace("print(", "print(os.getpid(), ")],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert not any(map(gone, pids))
        process.send_signal(number)
        process.wait(timeout=10)

        assert len(pids) == 2
        assert eventually(lambda: gone(*pids))


# A program that does not listen to SIGTERM, with a supervisor of its own whose child leaves every family.
STUBBORN_SUPERVISOR = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SUPERVISE


def test_a_guardian_lets_another_do_its_work(tmp_path: Path) -> None:
    """Where a test has started a demo, the demo's own guardian is not ended by the test's: it ends the daemons."""
    outer = (
        "import sys\nfrom dagster_defs.adapters.processes.guardian import GUARDIAN\n"
        "GUARDIAN.start([sys.executable, '-c', *sys.argv[1:]], stdout=sys.stdout).wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", outer, STUBBORN_SUPERVISOR, str(tmp_path), SCATTERED],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert not any(map(gone, pids))
        process.kill()
        process.wait(timeout=10)

        assert len(pids) == 3
        assert eventually(lambda: gone(*pids), 40)


SUPERVISE_POSTGRES = """
import sys
from pathlib import Path
from demo.postgres import running_postgres
with running_postgres(Path(sys.argv[1]), ("one",)) as postgres:
    print((postgres.folder / "postmaster.pid").read_text().splitlines()[0], flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_real_postgres_ends_with_its_parent(open_folder: Path, number: signal.Signals) -> None:
    """PostgreSQL makes itself a daemon; its parent's end is its own all the same."""
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISE_POSTGRES, str(open_folder / "postgres")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        server = int(process.stdout.readline())
        below = [each.pid for each in psutil.Process(server).children(recursive=True)]
        process.send_signal(number)

    assert below
    assert eventually(lambda: gone(server, *below))


@pytest.mark.parametrize(
    "text", ["{pid}\n{folder}\n", "{pid}\n/elsewhere\n", "{pid}", "", "x\ny\n", "-1\n/\n", "9" * 30 + "\n/\n"]
)
def test_a_process_that_is_not_the_postgres_of_the_folder(tmp_path: Path, text: str) -> None:
    """A file that names another process, as after a restart of the machine, ends nobody."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as other:
        try:
            (tmp_path / "postmaster.pid").write_text(text.format(pid=other.pid, folder=tmp_path))
            assert guardian.postgres_of(tmp_path) is None
            end_leftover_postgres(tmp_path)
            assert other.poll() is None
        finally:
            other.kill()


TWO_GUARDIANS = """
import os, signal, sys
from pathlib import Path
import psutil
from dagster_defs.adapters.processes import guardian, waiting
from demo.postgres import end_leftover_postgres
from dagster_defs.adapters.processes.supervisor import Supervisor
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
with Supervisor(Path(sys.argv[1])) as supervisor:
    first = supervisor.start("first", sleep, env=dict(os.environ))
    [guardian] = [each for each in psutil.Process().children() if each.pid != first.process.pid]
    guardian.kill()
    guardian.wait()
    second = supervisor.start("second", sleep, env=dict(os.environ))
    print(first.process.pid, second.process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_guardian_that_was_killed_is_replaced(tmp_path: Path) -> None:
    """After the guardian is killed another one comes with the next child, and it knows all of them."""
    done = subprocess.run(
        [sys.executable, "-c", TWO_GUARDIANS, str(tmp_path)], stdout=subprocess.PIPE, text=True, check=False
    )
    pids = [int(pid) for pid in done.stdout.split()]

    assert len(pids) == 2
    assert eventually(lambda: gone(*pids))


def test_leftovers_of_a_killed_supervisor_are_ended(tmp_path: Path) -> None:
    """What is left running where the guardian was killed too is ended by the next supervisor of the folder."""
    process, pids = start_supervisor(tmp_path)
    with process:
        for each in guardians(process.pid):
            each.kill()
        process.kill()
        process.wait(timeout=300)
    assert not any(map(gone, pids))

    with Supervisor(tmp_path):
        assert eventually(lambda: gone(*pids))


def test_a_pid_that_is_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    """A recorded pid that another process has by now is not touched: the start time tells them apart."""
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
    ) as other:
        try:
            (tmp_path / "processes.json").write_text(
                f'[{{"name": "server", "pid": {other.pid}, "started": 1000.0}}]'
            )
            with Supervisor(tmp_path):
                assert other.poll() is None
        finally:
            other.kill()


def test_a_torn_record_is_no_obstacle(tmp_path: Path) -> None:
    """A record that a crash has cut off does not keep the next supervisor from starting."""
    (tmp_path / "processes.json").write_text('[{"name": "serv')

    with Supervisor(tmp_path) as supervisor:
        assert supervisor.children == []


def test_a_child_that_ignores_the_first_signal_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that does not end when it is asked to is killed after a grace period."""
    monkeypatch.setattr("dagster_defs.adapters.processes.supervisor.GRACE_SECONDS", 0.5)
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start("stubborn", [sys.executable, "-c", STUBBORN], env=dict(os.environ))
        supervisor.wait_until("stubborn", lambda: "up" in child.log.read_text(), seconds=30)

    assert child.process.returncode == -signal.SIGKILL


def test_a_server_that_dies_is_reported_with_its_log(tmp_path: Path) -> None:
    """Waiting for a server that has ended raises at once, with its exit code and the end of its log."""
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(
            "server",
            [sys.executable, "-c", "print('no such table'); raise SystemExit(7)"],
            env=dict(os.environ),
        )
        with pytest.raises(ServerDied, match="exited with code 7") as caught:
            supervisor.wait_until("server", lambda: False, seconds=30)

    assert "no such table" in str(caught.value)


def test_a_server_that_keeps_silent_is_reported(tmp_path: Path) -> None:
    """Waiting has a bound, and its error says where the logs are."""
    with Supervisor(tmp_path) as supervisor, pytest.raises(ServerSilent, match="logs"):
        supervisor.wait_until("server", lambda: False, seconds=0.3)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_wait_says_what_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    """Both kinds of waiting say what for, again and again, on a terminal more often than in a log."""
    monkeypatch.setattr(waiting, "SAY_SECONDS", 0.1 if terminal else 60)
    monkeypatch.setattr(waiting, "SAY_SELDOM_SECONDS", 60 if terminal else 0.1)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    said: list[str] = []
    with Supervisor(tmp_path, said.append) as supervisor:
        with pytest.raises(ServerSilent):
            supervisor.wait_until("the DAGs", lambda: False, seconds=1, so_far=lambda: "1 of 2")
        waited = len(said)
        supervisor.run("migrate", [sys.executable, "-c", "import time; time.sleep(1)"], env=dict(os.environ))

    assert waited > 1
    assert all("waiting for the DAGs (1 of 2): " in line and "1 s at most" in line for line in said[:waited])
    assert len(said) > waited + 1
    assert all("waiting for migrate, which writes to " in line for line in said[waited:])


def test_what_is_over_at_once_says_nothing(tmp_path: Path) -> None:
    """Neither a fact that holds nor a command that ends at once is talked about."""
    said: list[str] = []
    with Supervisor(tmp_path, said.append) as supervisor:
        supervisor.wait_until("the DAGs", lambda: True, seconds=1)
        supervisor.run("migrate", [sys.executable, "-c", ""], env=dict(os.environ))

    assert said == []


def test_a_command_that_fails_is_reported_with_its_log(tmp_path: Path) -> None:
    """A one-off command that exits with another code than 0 raises with the end of its log."""
    with Supervisor(tmp_path) as supervisor, pytest.raises(ServerDied, match="bad migration"):
        supervisor.run("migrate", [sys.executable, "-c", "raise SystemExit('bad migration')"], env={})


def test_a_port_that_is_taken_is_refused() -> None:
    """A port that was asked for and is taken is a usage error that names port, server and variable."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(PortInUse) as caught:
            chosen_port(str(port), "AIRFLOW_PORT", "Airflow")

    assert caught.value.exit_code == 2
    for said in (str(port), "Airflow", "AIRFLOW_PORT"):
        assert said in str(caught.value)


@pytest.mark.parametrize("text", ["eighty", "-1", "70000", ""])
def test_a_port_that_is_none_is_refused(text: str) -> None:
    """Text that is no port is refused like a taken one."""
    with pytest.raises(PortInUse):
        chosen_port(text, "DAGSTER_PORT", "Dagster")


def test_any_free_port_without_a_wish() -> None:
    """Without the variable, or with 0, any free port is chosen; a free one that was asked for is taken."""
    assert chosen_port(Settings().airflow_port, "AIRFLOW_PORT", "Airflow") > 0
    assert chosen_port("0", "AIRFLOW_PORT", "Airflow") > 0
    wish = free_port()
    wanted = Settings({"AIRFLOW_PORT": str(wish)})
    assert chosen_port(wanted.airflow_port, "AIRFLOW_PORT", "Airflow") == wish
