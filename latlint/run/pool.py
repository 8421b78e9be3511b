"""Files of a run on several processes or machines: any ``concurrent.futures.Executor``, with results in order, and bounded memory."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import parent_process

from latlint.errors import INTERNAL, LatlintError, debugging
from latlint.outcome import InputError, Outcome
from latlint.run.work import Item, Task, failure, process_items

_Batch = Sequence[Item]

_SAFE_PATH = "PYTHONSAFEPATH"

#: Files that go to a worker together, and batches that are under way or wait to be fetched.
_MAX_BATCH = 16
_AHEAD = 64


def run_on(executor: Executor | None, task: Task, items: Sequence[Item], *, jobs: int = 1) -> Iterator[Outcome]:
    """The outcome of each item, in order, from the workers of ``executor``, or else from ``jobs`` processes of this machine.

    Where a worker died, what was under way is done again in a process of its own, file by file where that dies as well: the file that
    kills its process has an error as its outcome. The rest goes on as before.
    """
    size = max(1, min(_MAX_BATCH, len(items) // _AHEAD))
    batches = (items[at : at + size] for at in range(0, len(items), size))
    under_way: deque[tuple[_Batch, Future[list[Outcome]] | None]] = deque()
    workers, broken = executor or processes(jobs), False
    try:
        while True:
            if broken and not any(future for _, future in under_way):
                workers, broken = executor or processes(jobs), False
            for batch in islice(batches, 0 if broken else _AHEAD - len(under_way)):
                under_way.append((batch, _submitted(workers, task, batch)))
            if not under_way:
                return
            batch, future = under_way.popleft()
            try:
                outcomes = future.result() if future else _alone(task, batch)
            except LatlintError:
                raise
            except Exception as error:
                broken = isinstance(error, BrokenExecutor)
                outcomes = _alone(task, batch)
            yield from outcomes
    finally:
        for _, future in under_way:
            if future:
                future.cancel()
        if executor is None:
            workers.shutdown()


def processes(count: int) -> Executor:
    """``count`` processes of this machine, which end with this one and leave an interrupt to it."""
    with _safe_path():  # this starts Python's tracker of semaphores
        return ProcessPoolExecutor(count, initializer=_start_worker)


def _submitted(executor: Executor, task: Task, batch: _Batch) -> Future[list[Outcome]] | None:
    try:
        with _safe_path():  # this starts the processes
            return executor.submit(process_items, task, batch)
    except BrokenExecutor:
        return None


def _alone(task: Task, batch: _Batch) -> list[Outcome]:
    """The outcomes of a batch whose worker died, or could not hand them over."""
    try:
        with processes(1) as executor:
            future = _submitted(executor, task, batch)
            return future.result() if future else []
    except LatlintError:
        raise
    except Exception as error:
        if debugging():
            raise
        if len(batch) > 1:
            return [outcome for item in batch for outcome in _alone(task, [item])]
        if not isinstance(error, BrokenExecutor):
            return [failure(batch[0][0], error)]
        message = "the process that worked on it was killed, perhaps for want of memory; lint it by itself to see more"
        return [Outcome(error=InputError(batch[0][0], INTERNAL, message))]


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    """A process that is spawned, or forked from a server, starts as ``python -c``, for which the working directory comes before all
    others: the ``multiprocessing.py`` of somebody's checkout would run. Python leaves it out where this variable is set."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_SAFE_PATH, None)
        else:
            os.environ[_SAFE_PATH] = before


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot tell its workers, which would wait for work for ever."""
    if parent := parent_process():
        parent.join()
        os._exit(1)
