"""Every table of docs/benchmarks.md, one after another: ``make bench``. Leave the machine alone meanwhile."""

import subprocess
import sys

TABLES = (
    "commands",
    "metrics",
    "umap_quality",
    "robustness",
    "weights",
    "decoding",
    "classification",
    "cleaning",
    "calibrating",
    "difference",
    "explaining",
    "tuning",
    "clustering",
    "comparison",
    "ranking",
    "page",
    "serving",
)

if __name__ == "__main__":
    failed = []
    for table in TABLES:
        print(f"\n## python -m benchmarks.{table}\n", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{table}"], check=False).returncode:
            failed.append(table)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
