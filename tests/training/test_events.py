"""TensorBoard's events, read back by the format's own description."""

import struct

from tensorboardX.proto import event_pb2

from ultrasound_jax.training.console import Scalars


def events_in(folder):
    for path in sorted(folder.glob("events*")):
        content, at = path.read_bytes(), 0
        while at < len(content):  # length, its checksum, the event, its checksum
            (length,) = struct.unpack("<Q", content[at : at + 8])
            yield event_pb2.Event.FromString(content[at + 12 : at + 12 + length])
            at += 16 + length


def test_scalars_are_events_and_a_later_session_voids_what_comes_after_it(tmp_path):
    with Scalars(tmp_path, step=4) as scalars:
        scalars.write(5, {"train/loss": 0.5, "train/rate": 0.25})
    events = list(events_in(tmp_path / "tensorboard"))
    told = [(e.step, v.tag, v.simple_value) for e in events for v in e.summary.value]
    assert told == [(5, "train/loss", 0.5), (5, "train/rate", 0.25)]
    begun = [
        e.step for e in events if e.session_log.status == event_pb2.SessionLog.START
    ]
    assert begun == [5]
    assert events[0].file_version == "brain.Event:2"
