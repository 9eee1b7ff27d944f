"""Measurements: one module a stage, each against what a user would otherwise use; `python -m benchmarks.NAME`."""
