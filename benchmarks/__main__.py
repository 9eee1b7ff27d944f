"""The tables of docs/benchmarks.md, one after another: ``make bench``. Leave the machine alone meanwhile.

``make bench DATA=DIR`` adds what is measured on CIFAR-10's and Tiny-ImageNet's images, whose Parquet files are in DIR.
"""

import argparse
import subprocess
import sys

# A table, and whether it takes the folder of the other images: "no", "may" or "must".
TABLES = {
    "commands": "no",
    "waiting": "no",
    "metrics": "no",
    "umap_quality": "no",
    "robustness": "no",
    "weights": "may",
    "decoding": "no",
    "columns": "no",
    "int8": "must",
    "classification": "may",
    "cleaning": "no",
    "quality": "may",
    "calibrating": "may",
    "labelling": "no",
    "difference": "may",
    "explaining": "may",
    "inside": "must",
    "reasons": "must",
    "patches": "must",
    "tuning": "no",
    "clustering": "no",
    "survey": "no",
    "comparison": "no",
    "ranking": "may",
    "picking": "no",
    "page": "no",
    "resting": "no",
    "serving": "no",
    "packing": "no",
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="folder of the Parquet files")
    data = parser.parse_args().data
    failed = []
    for table, takes_data in TABLES.items():
        if takes_data == "must" and not data:
            continue
        options = ["--data", data] if data and takes_data != "no" else []
        print(f"\n## {' '.join(['python -m', f'benchmarks.{table}', *options])}\n", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{table}", *options], check=False).returncode:
            failed.append(table)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
