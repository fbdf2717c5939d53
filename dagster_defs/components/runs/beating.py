"""While a step of a legacy-side run is at work, its process beats in the store.

If that process and the code server are lost together, nobody would ever tell Dagster: the sensor in
`components/sensors/lost_runs.py` sees the beats stand still, and ends the run. A process that lives and was declared
lost ends itself: another run may have begun.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from dagster_defs.adapters.store.registry import open_store
from dagster_defs.adapters.store.seam import Heartbeats
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit
from dagster_defs.parity import Side
from dagster_defs.settings import Settings

EVERY = 10.0  # seconds between two beats
GRACE = 15.0  # seconds in which a process that was declared lost may cancel its statements


@contextmanager
def beating(context: dg.AssetExecutionContext, unit: Unit, side: Side, root: Path) -> Iterator[None]:
    """Nothing beats on the candidate side, whose runs nobody waits for. A store that takes no beats is said in the log,
    and such a run is never declared lost: the step's own questions to the store decide about the step."""
    if side is not Side.LEGACY:
        yield
        return
    with ExitStack() as alive:
        try:
            heartbeats = open_store(Settings.from_process(root)).heartbeats()
            alive.enter_context(Pulse(heartbeats, context.run.run_id, str(unit)))
        except ParityError as error:
            context.log.info(f"The run leaves no sign of life: {error}")
        yield


def _end_this_process() -> None:
    """As somebody who terminates the run would, and after a while for good."""
    os.kill(os.getpid(), signal.SIGTERM)
    timer = threading.Timer(GRACE, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()


@dataclass
class Pulse:
    """Its block begins with a beat, and raises what that raises. `lost`: what is done by a run that was declared
    lost."""

    heartbeats: Heartbeats
    run_id: str
    unit: str
    every: float = EVERY
    lost: Callable[[], None] = _end_this_process
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> None:
        self.heartbeats.beat(self.run_id, self.unit)
        self._thread = threading.Thread(target=self._beat, name="parity-heartbeat", daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(self.every)
        try:
            self.heartbeats.rest(self.run_id, self.unit)
        except ParityError:
            return  # the sensor forgets it once the run has ended

    def _beat(self) -> None:
        """A beat that fails is made up for by the next one: a store that is away counts no time."""
        while not self._over.wait(self.every):
            try:
                lives = self.heartbeats.beat(self.run_id, self.unit)
            except ParityError:
                continue
            if not lives:
                self.lost()
                return
