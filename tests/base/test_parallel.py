"""What runs beside each other."""

from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

from dinoscope.analysis.clusters.methods import _one_thread
from dinoscope.base.parallel import one_thread_each


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
