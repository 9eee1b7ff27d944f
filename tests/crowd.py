"""A crowd before a server: ``python -m tests.crowd PORT PATH``, in a process of its own, for it is busy."""

import asyncio
import resource
import sys
import time
from contextlib import suppress

IDLE, BUSY, SECONDS = 1100, 50, 30


async def crowd(port: int, path: str) -> None:
    end = time.monotonic() + SECONDS

    async def idle() -> None:
        """Hold a connection, and connect again when it is closed."""
        while time.monotonic() < end:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                with suppress(TimeoutError, OSError):
                    async with asyncio.timeout_at(asyncio.get_running_loop().time() + end - time.monotonic()):
                        await reader.read()
                writer.close()
            await asyncio.sleep(1)

    async def busy() -> None:
        """Ask, look at the answer for a moment, ask again."""
        while time.monotonic() < end:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
                await reader.read()
                writer.close()
            await asyncio.sleep(0.5)

    await asyncio.gather(*(idle() for _ in range(IDLE)), *(busy() for _ in range(BUSY)))


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * (IDLE + BUSY), hard))
    asyncio.run(crowd(int(sys.argv[1]), sys.argv[2]))
