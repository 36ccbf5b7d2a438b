"""Whose each picture is, or what stands in for patients where nothing says it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ultrasound_jax.datasets.folder.files import (
    Found,
    Picture,
    first_group,
    own_folder,
)
from ultrasound_jax.datasets.folder.options import FolderConfig
from ultrasound_jax.datasets.folder.sheet import Sheet
from ultrasound_jax.datasets.image_builder import fitted
from ultrasound_jax.datasets.image_files import Reading, grey_image
from ultrasound_jax.media.pictures import groups_by_likeness
from ultrasound_jax.runs.table_cells import one_spelling

# What `patient_id` stands for, by what tells it; "" for patients.
MEANS = {
    "sheet": "",
    "series": "a series of files by its name",
    "folder": "a folder of pictures",
    "likeness": (
        "a group of near duplicates, as nothing names patients: less than a split by "
        "patient"
    ),
}
_CROSSING = 20  # groups of several classes that are named


def told_by(config: FolderConfig, sheet: Sheet | None) -> str:
    """What tells the patients: a key of MEANS."""
    if config.patient_from != "sheet_or_likeness":
        return config.patient_from
    return "sheet" if sheet and "patient" in sheet.columns else "likeness"


def with_patients(
    pictures: Sequence[Picture],
    found: Found,
    config: FolderConfig,
    sheet: Sheet | None,
    how: Reading,
) -> list[Picture]:
    """The pictures whose patient is known; the others are left, with the reason.

    Patients are counted in the order in which they occur, or called as written.
    """
    told = told_by(config, sheet)
    if told == "likeness":
        return _by_likeness(pictures, found, how)
    owned, numbers = [], {}
    for picture in pictures:
        if told == "sheet" and sheet is not None:
            patient = sheet.patients.get(picture.path)
            reason = "has no row in the sheet"
            if patient == "":
                reason = "its row in the sheet names no patient"
        elif told == "series":
            patient = first_group(config.series, picture.path.name)
            reason = "its name is of no series"
        else:
            patient = own_folder(picture.path, found, config, picture.label)
            reason = "lies in no folder of its own beside that of its class"
        if not patient:
            found.leave(picture.path, reason)
            continue
        key = one_spelling(patient) if told == "sheet" else patient
        counted = f"P{len(numbers) + 1:04d}"
        called = patient if config.ids == "as_written" else counted
        owned.append(replace(picture, patient_id=numbers.setdefault(key, called)))
    return owned


def _by_likeness(
    pictures: Sequence[Picture], found: Found, how: Reading
) -> list[Picture]:
    names = [picture.image_id for picture in pictures]
    groups, refused = groups_by_likeness(pictures, partial(_views, how), names=names)
    for picture in pictures:
        if picture.image_id in refused:
            found.leave(picture.path, refused[picture.image_id])
    return [
        replace(picture, patient_id=groups[picture.image_id])
        for picture in pictures
        if picture.image_id in groups
    ]


def _views(how: Reading, picture: Picture) -> list[np.ndarray]:
    """As stored, and as built: black margins raise correlations."""
    image = grey_image(picture.path, how, name=picture.image_id)
    return (
        [image, fitted(image, how.size, stretch=how.stretch)] if how.size else [image]
    )


def notes_on(
    pictures: Sequence[Picture], classes: Sequence[str], told: str
) -> list[str]:
    """What a person should know of the groups."""
    notes = []
    if told == "likeness":
        notes.append(
            "nothing names patients: near duplicates stand in for them, and two views "
            "of one patient may be on both sides of a split; patients.csv with the "
            "columns file and patient mends that"
        )
    elif told != "sheet":
        notes.append(f"patients are told by {told}: {MEANS[told]}")
    if empty := [name for name in classes if name not in {p.label for p in pictures}]:
        notes.append(f"no picture of {', '.join(empty)} is left")
    labels = defaultdict(set)
    for picture in pictures:
        labels[picture.patient_id].add(picture.label)
    crossing = [patient for patient, of_it in labels.items() if len(of_it) > 1]
    if crossing:
        some = ", ".join(crossing[:_CROSSING])
        what = "groups of near duplicates" if told == "likeness" else "patients"
        notes.append(f"{len(crossing)} {what} have pictures of several classes: {some}")
    return notes
