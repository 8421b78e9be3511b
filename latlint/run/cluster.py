"""A Dask cluster as an executor. Needs the extra ``dask``.

Who can reach a Dask scheduler can run any code on its workers, and the scheduler and its workers can answer whatever they like: connect
only to one that you trust as you trust your own account (https://distributed.dask.org/en/stable/tls.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from latlint import __version__
from latlint.errors import LatlintError

_TIMEOUT_S = 10


@contextmanager
def executor_of(address: str) -> Iterator[Executor]:
    """The workers of the scheduler at ``address``, such as ``tcp://host:8786``. Raises ``LatlintError`` where it does not answer, and
    for workers that have another version of latlint or none."""
    try:
        from distributed import Client
    except ImportError:
        raise LatlintError("--scheduler needs Dask: pip install distributed") from None
    try:
        connect: Any = Client
        client = connect(address, timeout=_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise LatlintError(f"no Dask scheduler at {address}: {error}") from None
    with client:
        try:
            versions = set(client.run(version).values())
        except ModuleNotFoundError:
            versions = {"no latlint"}
        if others := versions - {__version__}:
            raise LatlintError(f"workers of {address} have {min(others)}, not latlint {__version__}: install it there")
        yield client.get_executor()


def version() -> str:
    """The version of latlint where this is called."""
    return __version__
