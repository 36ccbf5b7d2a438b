"""Event loops that do not close before their tasks have ended.

Orbax reads all arrays of a checkpoint at once, each in a task of one event loop, and
closes that loop as soon as one of them fails. The tasks that are left meet a closed
loop: tracebacks on the screen beside our one line, and exceptions out of whatever runs
when the collector finds them.
"""

import asyncio
import contextlib
from collections.abc import Iterator

LONGEST = 60.0  # seconds for what is left of a failed read


class _WaitingLoop(asyncio.SelectorEventLoop):
    def close(self) -> None:
        if not (self.is_closed() or self.is_running()):
            self._end_tasks()
        # What the collector finds later is of the same failure, which was raised.
        self.set_exception_handler(lambda _loop, _context: None)
        super().close()

    def _end_tasks(self) -> None:
        left = asyncio.all_tasks(self)
        if not left:
            return
        ended, _ = self.run_until_complete(asyncio.wait(left, timeout=LONGEST))
        for task in ended:
            if not task.cancelled():
                task.exception()  # seen: the first one was raised already


class _Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return _WaitingLoop()


@contextlib.contextmanager
def waiting_loops() -> Iterator[None]:
    """New event loops of this process wait for their tasks when they are closed."""
    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(_Policy())
    try:
        yield
    finally:
        asyncio.set_event_loop_policy(before)
