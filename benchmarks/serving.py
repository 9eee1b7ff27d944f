"""The explorer's server under use: ``python -m benchmarks.serving``.

First what one page needs before it shows its first picture, then search by upload, then 50 clients that search and
scroll, all on this machine: the clients take their share of it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import statistics
import time
from collections import Counter
from pathlib import Path

import httpx

from benchmarks.explored import explored

__all__ = ["main"]

_PAUSE = (0.5, 1.5)  # seconds in which a person looks at what came


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", type=Path, help="by default the 10,000 images that ship with dinoscope")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    with explored(arguments.collection) as explorer:
        _wait(explorer.address)
        print("| | measured | must |\n| --- | --- | --- |", flush=True)
        _first_picture(explorer.address)
        _single_searches(explorer.address)
        asyncio.run(_crowd(explorer.address, arguments.clients, arguments.seconds))
        print(f"| most memory of the server | {_peak(explorer.process)} | bounded |", flush=True)


def _wait(address: str) -> None:
    """Wait until the server is warm: it answers, and a search no longer waits for the model."""
    for _ in range(600):
        try:
            httpx.get(address)
            break
        except httpx.TransportError:
            time.sleep(0.1)
    with httpx.Client(base_url=address, timeout=600) as client:
        model = client.get("/api/collection").json()["model"]
        for row in (0, 1):
            client.post(
                f"/api/models/{model}/search", content=client.get(f"/api/models/{model}/images/{row}/picture").content
            )


def _first_picture(address: str) -> None:
    """Ask for what the page asks for before its first picture, one after the other."""
    with httpx.Client(base_url=address, timeout=60) as client:
        began, sent = time.perf_counter(), 0

        def get(path: str) -> httpx.Response:
            nonlocal sent
            answer = client.get(path).raise_for_status()
            sent += answer.num_bytes_downloaded
            return answer

        page = get("/").text
        for asset in re.findall(r'(?:src|href)="\./(assets/[^"]+)"', page):
            get(f"/{asset}")
        model = get("/api/collection").json()["model"]
        view = get(f"/api/models/{model}").json()
        for path in ("rows", "maps/umap", f"columns/{view['columns'][0]['name']}"):
            get(f"/api/models/{model}/{path}?v={view['state']}")
        seconds = time.perf_counter() - began
        print(f"| what the first picture of {view['count']:,} points needs | {seconds:.2f} s | part of 2 s |")
        print(f"| bytes of it, packed, thumbnails aside | {sent / 1e6:.2f} MB | 2 MB for 70,000 |")
        began = time.perf_counter()
        size = len(get(f"/api/models/{model}/sheets/0?v={view['state']}").content)
        print(f"| a sheet of 256 thumbnails | {time.perf_counter() - began:.2f} s, {size / 1e6:.2f} MB | |", flush=True)


def _single_searches(address: str) -> None:
    with httpx.Client(base_url=address, timeout=60) as client:
        client.get("/")
        model = client.get("/api/collection").json()["model"]
        times = []
        for row in range(30):
            picture = client.get(f"/api/models/{model}/images/{row}/picture").content
            began = time.perf_counter()
            client.post(f"/api/models/{model}/search?map=umap&k=24", content=picture).raise_for_status()
            times.append(time.perf_counter() - began)
    print(f"| search by upload, median of 30 | {statistics.median(times):.3f} s | 0.5 s on screen |", flush=True)


async def _crowd(address: str, clients: int, seconds: float) -> None:
    """Let clients search and scroll at once, each as a person would."""
    times: list[float] = []
    outcomes: Counter[str] = Counter()
    ends = time.perf_counter() + seconds

    async def person(number: int) -> None:
        draw = random.Random(number)
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:

            async def ask(method: str, path: str, content: bytes | None = None) -> httpx.Response:
                await asyncio.sleep(draw.uniform(*_PAUSE))
                began = time.perf_counter()
                answer = await client.request(method, path, content=content)
                times.append(time.perf_counter() - began)
                outcomes[str(answer.status_code)] += 1
                return answer

            await asyncio.sleep(draw.uniform(0, 2))
            await client.get("/")  # the page gives each its cookie
            info = (await client.get("/api/collection")).json()
            base = f"/api/models/{info['model']}"
            view = (await client.get(base)).json()
            while time.perf_counter() < ends:
                row = draw.randrange(view["count"])
                picture = (await ask("GET", f"{base}/images/{row}/picture")).content
                await ask("POST", f"{base}/search?map=umap&k=24", picture)
                for _ in range(3):
                    await ask("GET", f"{base}/sheets/{draw.randrange(view['sheets']['count'])}?v={view['state']}")
                await ask("GET", f"{base}/images/{row}")

    await asyncio.gather(*(person(number) for number in range(clients)))
    slow = statistics.quantiles(times, n=20)[-1]
    wrong = sum(count for status, count in outcomes.items() if status != "200")
    print(f"| {clients} clients for {seconds:g} s: requests, errors | {len(times):,}, {wrong} | no error |")
    print(f"| 95% of them within | {slow:.2f} s | 1 s |", flush=True)


def _peak(pid: int) -> str:
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:  # not Linux
        return "not known here"
    return f"{int(found[1]) / 1024:,.0f} MB" if found else "not known here"


if __name__ == "__main__":
    main()
