import io
import sys

from ultrasound_jax.runs import bar
from ultrasound_jax.runs.bar import Progress


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
