"""Work that several may wait for: done once, dropped when all of them have left."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from starlette.requests import ClientDisconnect

from dinoscope.server.jobs import Ending, Jobs, while_wanted
from tests import PATIENCE
from tests.served import until_stopped


class Client:
    """Somebody who waits, and may leave."""

    def __init__(self) -> None:
        self._gone = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    def leave(self) -> None:
        self._gone.set()


@pytest.fixture
def jobs():
    made = Jobs(1, "test")
    yield made
    made.stop()


def endless(begun: threading.Event, ended: threading.Event) -> Callable[[], None]:
    return lambda: until_stopped(lambda: while_wanted(1, 2), begun, ended)


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE)


def test_work_says_how_far_it_is(jobs):
    async def ask() -> None:
        begun, ended = threading.Event(), threading.Event()
        assert jobs.progress("work") is None
        waiting = asyncio.create_task(jobs.run("work", endless(begun, ended), Client()))
        await until(begun)
        while jobs.progress("work") is None:
            await asyncio.sleep(0.001)
        assert jobs.progress("work") == (1, 2)
        waiting.cancel()
        await until(ended)

    asyncio.run(ask())


def test_the_same_work_is_done_once(jobs):
    async def ask() -> list[int]:
        calls: list[int] = []
        gate = threading.Event()

        def work() -> int:
            gate.wait(PATIENCE)
            calls.append(1)
            return len(calls)

        both = [asyncio.ensure_future(jobs.run("key", work, Client())) for _ in range(2)]
        await asyncio.sleep(0)
        gate.set()
        first, second = await asyncio.gather(*both)
        return [first, second]

    assert asyncio.run(ask()) == [1, 1]
    assert not jobs.busy


def test_work_stops_when_the_last_has_left(jobs):
    async def ask() -> None:
        begun, ended = threading.Event(), threading.Event()
        clients = [Client(), Client()]
        asked = [asyncio.ensure_future(jobs.run("key", endless(begun, ended), each)) for each in clients]
        await until(begun)
        clients[0].leave()
        with pytest.raises(ClientDisconnect):
            await asked[0]
        assert not await asyncio.to_thread(ended.wait, 0.1)  # the other still waits
        clients[1].leave()
        with pytest.raises(ClientDisconnect):
            await asked[1]
        await until(ended)
        assert await jobs.run("key", lambda: "again", Client()) == "again"

    asyncio.run(ask())


def test_what_has_not_begun_is_dropped_unless_somebody_else_wants_it(jobs):
    async def ask() -> list[str]:
        gate, done = threading.Event(), []
        first = jobs.start("first", lambda: gate.wait(PATIENCE))
        clients = [Client(), Client()]
        asked = [
            asyncio.ensure_future(jobs.run("read", lambda: done.append("read"), clients[0])),
            asyncio.ensure_future(jobs.run("kept", lambda: done.append("kept"), clients[1])),
        ]
        await asyncio.sleep(0)
        kept = jobs.start("kept", lambda: None)
        write = asyncio.ensure_future(jobs.run("write", lambda: done.append("write")))
        await asyncio.sleep(0)
        for client in clients:
            client.leave()
        for each in asked:
            with pytest.raises(ClientDisconnect):
                await each
        gate.set()
        await asyncio.gather(asyncio.wrap_future(first), asyncio.wrap_future(kept), write)
        return done

    assert asyncio.run(ask()) == ["kept", "write"]


def test_the_end_waits_for_nobody(jobs):
    async def ask() -> None:
        begun, gate = threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            gate.wait(PATIENCE)

        asked = [asyncio.ensure_future(jobs.run(key, work, Client())) for key in ("running", "waiting")]
        await until(begun)
        jobs.stop()
        for each in asked:
            with pytest.raises(Ending, match="is ending"):
                await each
        with pytest.raises(Ending):
            await jobs.run("later", work, Client())
        gate.set()

    asyncio.run(ask())


def test_work_outside_of_jobs_is_always_wanted():
    while_wanted()


def test_work_is_over_before_its_answer_is_there(jobs):
    begin, ended, seen = threading.Event(), threading.Event(), []

    def look(_):
        seen.append((jobs.busy, jobs.progress("key")))
        ended.set()

    def work():
        begin.wait(PATIENCE)
        while_wanted(1, 1)

    jobs.start("key", work).add_done_callback(look)
    assert jobs.busy
    begin.set()
    assert ended.wait(PATIENCE)
    assert seen == [(False, None)]
