"""A made study: phantom cines as MP4s in folders, and the sheet about them."""

import csv
from pathlib import Path

import av
import numpy as np
import openpyxl

from ultrasound_jax.datasets.lus_phantom.cine import Cine
from ultrasound_jax.datasets.lus_phantom.patients import Findings, draw_patient
from ultrasound_jax.datasets.lus_phantom.probe import ScanConverter
from ultrasound_jax.datasets.lus_phantom.scene import draw_scene

RATE, FRAMES, SIDE = 5, 8, 96
HEADING = ["File", "Patient", "B-lines", "Consolidation", "Severity", "Zone", "Machine"]
ZONES = ("R1", "R2", "L1", "L2")


def frames(findings, patient, video, count=FRAMES, side=SIDE):
    """A phantom cine, uint8 `t y x`."""
    person = draw_patient(5, patient)
    rng = np.random.default_rng([5, patient, video])
    cine = Cine(rng, person, draw_scene(rng, person, findings))
    convert = ScanConverter(cine.probe, side)
    return np.stack([convert(cine.grey(k / RATE)) for k in range(count)])


def write_film(path, pictures, rate=RATE, codec="mpeg4"):
    """Writes grey frames as a film, its container by the name's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures.shape[1:]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())


def study(folder, patients=6, videos=2, first=0):
    """Films `patient_03/video_1.mp4`, and the rows of a sheet about them.

    B-lines and consolidations alternate, and one cell of each is not annotated.
    """
    rows = [HEADING]
    for patient in range(first, first + patients):
        for video in range(videos):
            sick = Findings(
                a_line=patient % 2 == 0,
                b_line=(patient + video) % 2 == 1,
                consolidation=patient % 3 == video % 3,
            )
            path = Path(f"patient_{patient:02d}/video_{video}.mp4")
            write_film(folder / path, frames(sick, patient, video))
            labels = [int(sick.b_line), int(sick.consolidation)]
            severity = (patient + 2 * video) % 4
            zone = ZONES[(patient + video) % len(ZONES)]
            machine = "Lumify" if patient % 2 else "Vivid"
            name = f"Doe{patient:02d}"
            rows.append([str(path), name, *labels, severity, zone, machine])
    rows[1][2], rows[2][3] = None, "?"
    return rows


def write_xlsx(path, rows, title="Lung study"):
    """Writes rows under a line that is no heading, as people do."""
    book = openpyxl.Workbook()
    book.active.append([title])
    for row in rows:
        book.active.append(list(row))
    book.save(path)


def write_csv(path, rows, encoding="utf-8", delimiter=","):
    """Writes rows, nothing for None."""
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
