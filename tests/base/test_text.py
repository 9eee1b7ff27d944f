import pytest

from dinoscope.base.text import duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (12.4, "12 s"), (59.4, "59 s"), (59.7, "1 min 0 s")),
        *((200, "3 min 20 s"), (3599.7, "1 h 0 min"), (7199, "2 h 0 min"), (7500, "2 h 5 min")),
    ],
)
def test_seconds_are_rounded_before_their_unit_is_chosen(seconds, said):
    assert duration(seconds) == said
