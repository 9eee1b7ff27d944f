"""The gate on speed, with a clock of its own: tests never time."""

import pytest

from benchmarks import gate
from benchmarks.gate import Figure, ratio_of


class Clock:
    """A clock that moves only when work is done."""

    def __init__(self) -> None:
        self.at, self.done = 0.0, list[str]()

    def __call__(self) -> float:
        return self.at

    def work(self, name: str, *seconds: float):
        left = iter(seconds)

        def run() -> None:
            self.at += next(left)
            self.done.append(name)

        return run


def test_a_ratio_is_the_median_of_pairs_in_turn():
    clock = Clock()
    figure = Figure("name", clock.work("reference", 50, 6, 8, 90), clock.work("ours", 1, 2, 4, 3), floor=1, pairs=3)
    assert ratio_of(figure, clock) == 3  # of 3, 2 and 30; the first pair warms up
    assert clock.done == ["reference", "ours"] * 4


@pytest.mark.parametrize(("arguments", "expected"), [([], 1), (["--quick"], 0)])
def test_the_gate_names_what_is_below_its_floor(arguments, expected, monkeypatch, capsys):
    def nothing() -> None:
        pass

    made = [Figure("the fast", nothing, nothing, 1.5, 1), Figure("the slow", nothing, nothing, 2.5, 1)]
    monkeypatch.setattr(gate, "figures", lambda _folder, _small: made)
    monkeypatch.setattr(gate, "ratio_of", lambda _figure: 2.0)
    assert gate.main(arguments) == expected
    said = capsys.readouterr()
    assert said.err.splitlines() == ["below the floor: the slow"] * expected
    assert "| the fast | 2.00 | 1.5 |" in said.out.splitlines()


def test_what_other_work_slowed_once_is_measured_again(monkeypatch, capsys):
    found = iter([1.0, 2.0, 1.2])
    monkeypatch.setattr(gate, "figures", lambda _folder, _small: [Figure("the name", int, int, 1.5, 1)])
    monkeypatch.setattr(gate, "ratio_of", lambda _figure: next(found))
    assert gate.main([]) == 0
    assert "| the name | 2.00 | 1.5 |" in capsys.readouterr().out.splitlines()
