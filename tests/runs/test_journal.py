import os
import signal
import stat

import pytest

from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.journal import Journal
from ultrasound_jax.runs.signals import Prompt
from ultrasound_jax.types import InputError


def test_a_file_is_written_whole_with_its_permissions(tmp_path):
    path = tmp_path / "new" / "table.csv"
    write_whole(path, "Müller\udcfc\n", mode=0o600)
    assert path.read_bytes() == "Müller".encode() + b"\xfc\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_whole(tmp_path / "file" / "table.csv", b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_whole(tmp_path / "folder", b"")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_journal_is_continued(tmp_path):
    path = tmp_path / ".journal"
    journal = Journal.open(path, {"size": 256})
    journal.record("a", {"rows": [1, 2]})
    journal.record("b", None)
    journal.close()
    again = Journal.open(path, {"size": 256})
    assert again.done == {"a": {"rows": [1, 2]}, "b": None}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again.remove()
    assert not path.exists()


def test_a_line_that_was_cut_off_is_ignored_and_does_not_spoil_the_next(tmp_path):
    path = tmp_path / ".journal"
    journal = Journal.open(path, {})
    journal.record("a", 1)
    journal.record("b", 2)
    journal.close()
    path.write_bytes(path.read_bytes()[:-5])
    again = Journal.open(path, {})
    assert again.done == {"a": 1}
    again.record("c", 3)
    again.close()
    assert Journal.open(path, {}).done == {"a": 1, "c": 3}


def test_a_journal_of_other_settings_is_not_believed(tmp_path):
    path = tmp_path / ".journal"
    journal = Journal.open(path, {"size": 256})
    journal.record("a", 1)
    journal.close()
    assert Journal.open(path, {"size": 112}).done == {}
    path.write_bytes(b"\xff\xfe nonsense\n{}\n")
    assert Journal.open(path, {"size": 256}).done == {}


def test_a_journal_that_nothing_was_recorded_in_leaves_no_file(tmp_path):
    journal = Journal.open(tmp_path / ".journal", {})
    journal.close()
    journal.remove()
    assert list(tmp_path.iterdir()) == []


def test_sigterm_is_an_interrupt_while_it_is_asked_for():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), Prompt():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
