import io
import sys

from ultrasound_jax.runs import bar
from ultrasound_jax.runs.bar import Progress, watched


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_elsewhere_than_on_a_terminal_there_is_a_line_now_and_then(monkeypatch):
    times = iter([0.0, 5.0, 11.0, 11.0, 12.0])
    monkeypatch.setattr(bar.time, "monotonic", lambda: next(times))
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress(9, "files", done=2) as shown:
        for _ in range(3):
            shown.advance()
    assert stream.getvalue() == "4 of 9 files\n"
    assert shown.done == 5


def test_on_a_terminal_there_is_a_bar(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress(4, "files", done=1) as shown:
        shown.advance(3)
    assert "4/4" in stream.getvalue() and "files" in stream.getvalue()


def test_what_is_watched_comes_one_by_one(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(watched("pairs")("abc")) == ["a", "b", "c"]
    assert "3/3" in stream.getvalue() and "pairs" in stream.getvalue()


def test_a_bar_is_set_to_where_a_run_is_and_shows_words(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress(40, "steps", of="fold 1") as shown:
        shown.reach(40, {"loss": "0.5"})
    assert "40/40" in stream.getvalue() and "loss=0.5" in stream.getvalue()
    assert "fold 1" in stream.getvalue() and shown.on_terminal is False


def test_elsewhere_nothing_is_shown_beside(capsys):
    with Progress(40, "steps") as shown:
        assert not shown.on_terminal
        shown.reach(40, {"loss": "0.5"})
    assert capsys.readouterr() == ("", "") and shown.done == 40
