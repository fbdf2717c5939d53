"""While a step of a legacy-side run is at work, its process beats in the store.

If that process and the code server are lost together, nobody would ever tell Dagster: the sensor in
`components/sensors/lost_runs.py` sees the beats stand still, and ends the run. A process that lives and was declared
lost, or whose beats do not arrive, ends itself: another run may have begun, or may begin.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from dagster_defs.adapters.store.registry import open_store
from dagster_defs.adapters.store.seam import Heartbeats
from dagster_defs.errors import NotOwner, ParityError
from dagster_defs.lifecycle import Unit
from dagster_defs.parity import Side
from dagster_defs.settings import Settings

EVERY = 10.0  # seconds between two beats
ALONE = 150.0  # seconds without a beat that arrived: with GRACE, no more than the sensor waits
GRACE = 15.0  # seconds in which a process that was declared lost may cancel its statements
DECLARED = "it was declared lost, so another run may have begun"


@contextmanager
def beating(context: dg.AssetExecutionContext, unit: Unit, side: Side, root: Path) -> Iterator[None]:
    """Nothing beats on the candidate side, whose runs nobody waits for. A store that takes no first beat is said in the
    log, and such a run is never declared lost: the step's own questions to the store decide about the step.

    Raises NotOwner in a run that has ended, whose worker has gone on: another run may be at work."""
    if side is not Side.LEGACY:
        yield
        return
    _refuse_ended(context, unit)
    with ExitStack() as alive:
        try:
            heartbeats = open_store(Settings.from_process(root)).heartbeats()
            alive.enter_context(Pulse(heartbeats, context.run.run_id, str(unit), context.log.error))
        except ParityError as error:
            context.log.info(f"The run leaves no sign of life: {error}")
        yield


def _refuse_ended(context: dg.AssetExecutionContext, unit: Unit) -> None:
    run = context.instance.get_run_by_id(context.run.run_id)
    if run is not None and run.is_finished:
        reason = f"it has ended as {run.status.value}, and its worker has gone on"
        raise NotOwner(str(unit), reason, "Start the window again in a run of its own")


def _end_this_process() -> None:
    """As somebody who terminates the run would, and after a while for good."""
    os.kill(os.getpid(), signal.SIGTERM)
    timer = threading.Timer(GRACE, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()


@dataclass
class Pulse:
    """Its block begins with a beat, and raises what that raises. `lost`: what is done by a run that was declared lost,
    or that may be declared so, because none of its beats has arrived for `alone` seconds."""

    heartbeats: Heartbeats
    run_id: str
    unit: str
    say: Callable[[str], None] = lambda _: None
    every: float = EVERY
    alone: float = ALONE
    lost: Callable[[], None] = _end_this_process
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _arrived: float = 0

    def __enter__(self) -> None:
        self._arrived = time.monotonic()
        lives = self.heartbeats.beat(self.run_id, self.unit)
        for name, work in (("beats", self._beat), ("watches", self._watch)):
            thread = threading.Thread(target=work, name=f"parity-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()
        if not lives:
            self._end(DECLARED)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(self.every)
        try:
            self.heartbeats.rest(self.run_id, self.unit)
        except ParityError:
            return  # the sensor forgets it once the run has ended

    def _beat(self) -> None:
        """A beat that fails is made up for by the next one."""
        while not self._over.wait(self.every):
            began = time.monotonic()
            try:
                lives = self.heartbeats.beat(self.run_id, self.unit)
            except ParityError:
                continue
            if not lives:
                self._end(DECLARED)
            self._arrived = began

    def _watch(self) -> None:
        """Beside the beats, which may hang with the store. The sensor may reach a store that this process does not."""
        while not self._over.wait(self.every / 10):
            if time.monotonic() - self._arrived > self.alone:
                self._end(
                    f"the store has taken no sign of life for {self.alone:g} s, so it may be declared lost"
                )

    def _end(self, why: str) -> None:
        """Once, whichever thread is the first."""
        if not self._over.is_set():
            self._over.set()
            self.say(f"{self.unit} ends its own process: {why}")
            self.lost()
