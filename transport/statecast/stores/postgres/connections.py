"""Connections to PostgreSQL: as many as are in use at once, up to a bound, each watched while it is.

They are made when they are needed. An engine that is away is noticed by the first that needs one, at once, and so is
one that is back: nobody waits for the next try of somebody else.

An engine may also hang, or the network swallow everything. A connection on which nothing has come of a statement for
so long is cut off, which ends the statement like any other loss.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from statecast.stores.errors import ChangeRefused, Damaged, StoreUnavailable

from . import statements
from .address import Address
from .schema import named

__all__ = ["Connection", "Connections", "Row", "connect", "cut_off_after", "is_direct", "translated"]

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Row = tuple[Any, ...]

#: When the system gives up a connection whose other end is silent: seconds and tries, as libpq names them.
_DEFAULTS: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,  # milliseconds
    "fallback_application_name": "statecast",
}

#: Seconds after which the next host is tried, where the address has several: libpq takes no less.
ANOTHER: Final = 2

#: Classes of SQLSTATE that say that the data does not fit: invalid, not unique, too large for an index.
_REFUSED: Final = ("22", "23", "54")

#: The class that says that what is stored cannot be read.
_DAMAGED: Final = "XX"


class Connections:
    """Lends connections.

    Args:
        address: Where the store is.
        patience: Seconds that a statement may take.
    """

    def __init__(self, address: Address, *, patience: float) -> None:
        self.address = address
        self.pooled = False  #: whether there is a pooler in between
        self._patience = patience
        self._idle: list[Connection] = []
        self._places = asyncio.Semaphore(address.pool)
        self._open = False
        self._named = cache(lambda statement: named(statement, address.schema))

    def open(self) -> None:
        """Begin to lend."""
        self._places = asyncio.Semaphore(self.address.pool)  # of this event loop, if another one used it before
        self._open = True

    async def aclose(self) -> None:
        """Close all that are not lent; the others are closed when they come back."""
        self._open = False
        await self._close_idle()

    def named(self, statement: str) -> bytes:
        """Return a statement for the store's schema."""
        return self._named(statement)

    async def fetch(self, statement: str, values: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
        """Execute one statement, which is a transaction, and return its rows.

        Raises:
            StoreUnavailable: It may not have been executed.
            ChangeRefused: Its values are refused.
            Damaged: What is stored cannot be read.
        """
        async with self.borrow() as connection:
            cursor = await connection.execute(self._named(statement), values, binary=True)
            return await cursor.fetchall() if cursor.description else []

    async def count(self, statement: str, values: Sequence[object] = ()) -> int:
        """Execute one statement, which is a transaction, and return how many rows it has changed; raises as `fetch`."""
        async with self.borrow() as connection:
            return (await connection.execute(self._named(statement), values)).rowcount

    @contextlib.asynccontextmanager
    async def borrow(self, patience: float | None = None) -> AsyncIterator[Connection]:
        """Lend a connection. What it was used for is rolled back if it fails; errors are those of stores.

        Args:
            patience: Seconds for which it is used at most; None: as long as a statement may take.

        Raises:
            StoreUnavailable: There is none, or it was lost; what was committed on it may have happened.
            ChangeRefused: What was written is refused.
            Damaged: What is stored cannot be read.
        """
        try:
            connection = await self._take()
        except psycopg.Error as error:
            raise self._failed(error) from error
        try:
            with cut_off_after(connection, self._patience if patience is None else patience):
                try:
                    yield connection
                except BaseException:
                    if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
                        await connection.rollback()
                    raise
        except (psycopg.Error, UnicodeEncodeError) as error:
            failed = self._failed(error)
            if isinstance(failed, StoreUnavailable):
                await connection.close()
                await self._close_idle()
            raise failed from error
        finally:
            await self._give_back(connection)

    async def _take(self) -> Connection:
        if not self._open:
            raise StoreUnavailable(f"the store {self.address.name} is not open")
        if self._places.locked():
            await self._wait_for_place()
        else:
            await self._places.acquire()
        try:
            while self._idle:
                connection = self._idle.pop()
                if _is_quiet(connection):
                    return connection
                await connection.close()
            return await self._connect()
        except BaseException:
            self._places.release()
            raise

    async def _wait_for_place(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError:
            raise StoreUnavailable(
                f"all {self.address.pool} connections of the store {self.address.name} are in use"
            ) from None

    async def _connect(self) -> Connection:
        connection = await connect(self.address.conninfo, self._patience)
        try:
            with cut_off_after(connection, self._patience):
                if await is_direct(connection):
                    milliseconds = str(round(self._patience * 1_000))
                    values = (milliseconds, milliseconds, self.address.synchronous_commit)
                    await connection.execute(statements.SETTINGS, values)
                else:
                    self.pooled = True
                    connection.prepare_threshold = None  # the next transaction may have another server process
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _give_back(self, connection: Connection) -> None:
        self._places.release()
        if self._open and not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE:
            self._idle.append(connection)
        else:
            await connection.close()

    async def _close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()

    def _failed(self, error: Exception) -> Exception:
        return translated(error, self.address.name)


async def connect(conninfo: str, patience: float) -> Connection:
    """Return a new connection, in autocommit mode.

    Args:
        conninfo: Where to.
        patience: Seconds that it may take.

    Raises:
        psycopg.Error: There is none.
    """
    given = conninfo_to_dict(conninfo)
    several = {"connect_timeout": ANOTHER} if "," in str(given.get("host", "")) + str(given.get("hostaddr", "")) else {}
    defaults = {name: value for name, value in (_DEFAULTS | several).items() if name not in given}
    try:
        async with asyncio.timeout(patience):
            return await psycopg.AsyncConnection.connect(conninfo, autocommit=True, **defaults)  # type: ignore[arg-type]  # libpq's
    except TimeoutError:
        raise psycopg.OperationalError(f"the server has not answered for {patience:g} seconds") from None


async def is_direct(connection: Connection) -> bool:
    """Return whether a connection leads to a server process of its own, and not to a pooler.

    A pooler lends one for each transaction or for each session, and names another process than the one that serves.
    """
    row = await (await connection.execute(statements.BACKEND)).fetchone()
    return row is not None and row[0] == connection.info.backend_pid


@contextlib.contextmanager
def cut_off_after(connection: Connection, seconds: float) -> Iterator[None]:
    """Cut a connection off if the block takes longer.

    If a task is cancelled in the block, psycopg cancels its statement and waits for it. Where the connection ends
    meanwhile, psycopg before 3.3.9 raises that error in place of the cancellation; this raises the cancellation.
    """
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    timer = asyncio.get_running_loop().call_later(seconds, _cut_off, connection)
    try:
        yield
    except psycopg.Error as error:
        if task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise
    finally:
        timer.cancel()


def translated(error: Exception, name: str) -> Exception:
    """Return an error of psycopg as one of stores."""
    state = getattr(error, "sqlstate", None) or ""
    if state[:2] in _REFUSED or (not state and isinstance(error, psycopg.DataError | UnicodeEncodeError)):
        return ChangeRefused(f"the store {name} refuses it: {error}")
    if state[:2] == _DAMAGED:
        return Damaged(f"the store {name} cannot read it: {error}")
    return StoreUnavailable(f"the store {name} failed: {error}")


def _is_quiet(connection: Connection) -> bool:
    """Return whether nothing has come on a connection that is not in use: what comes is the news of its end."""
    if connection.closed:
        return False
    if not hasattr(select, "poll"):  # on Windows
        return not select.select([connection.fileno()], [], [], 0)[0]
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def _cut_off(connection: Connection) -> None:
    """End a connection as if the other side had: whoever waits for it stops waiting."""
    if not connection.closed:
        with socket.socket(fileno=socket.dup(connection.fileno())) as end, contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
