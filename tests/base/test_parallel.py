"""What runs beside each other."""

import subprocess
import sys
import threading
from unittest.mock import patch

import pytest
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

from dinoscope.analysis.clusters.methods import _one_thread
from dinoscope.base.parallel import one_thread_each, side_by_side
from tests import PATIENCE


def threads() -> set[int]:
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_the_limit_of_products_goes_with_the_last_thread_inside():
    with threadpool_limits(2):
        first, second = one_thread_each(), one_thread_each()
        with first:
            second.__enter__()
            assert threads() == {1}
        assert threads() == {1}  # the second is still inside
        second.__exit__(None, None, None)
        assert threads() == {2}


def test_clusters_keep_their_one_thread_when_another_stage_ends():
    with threadpool_limits(2):
        stage, clusters = one_thread_each(), _one_thread()
        with stage:
            clusters.__enter__()
        assert threads() == {1}
        with one_thread_each():
            pass
        assert threads() == {1}
        clusters.__exit__(None, None, None)
        assert threads() == {2}


def test_works_run_beside_each_other_and_the_first_error_comes_when_all_ended():
    met, ended = threading.Barrier(2, timeout=PATIENCE), []

    def work(number):
        def run():
            if number < 2:
                met.wait()
            ended.append(number)
            if number == 2:
                raise ValueError("the third")

        return run

    with patch("dinoscope.base.parallel.cores", return_value=2), pytest.raises(ValueError, match="the third"):
        side_by_side(work(number) for number in range(4))
    assert sorted(ended) == [0, 1, 2, 3]


def test_an_interrupt_does_not_wait_for_what_runs():
    script = """
import os, signal, threading, time
from dinoscope.base.parallel import side_by_side
started = threading.Event()
def long():
    started.set()
    time.sleep(600)
def interrupt():
    started.wait()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    side_by_side([long, long])
except KeyboardInterrupt:
    raise SystemExit(130)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=PATIENCE, check=False).returncode == 130
