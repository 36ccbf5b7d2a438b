"""What a build of a folder ends with: a page for people, and who is behind an id."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ultrasound_jax.datasets.beam.records import Skipped
from ultrasound_jax.datasets.folder.files import Found, Picture
from ultrasound_jax.datasets.image_files import as_text

HEADING = ("file", "image_id", "class", "patient_id", "masks", "not used, as")


def counts(pictures: Sequence[Picture]) -> dict[str, dict[str, int]]:
    """Pictures, and patients or what stands in for them, by class."""
    images = Counter(picture.label for picture in pictures)
    patients = Counter(
        label for label, _ in {(one.label, one.patient_id) for one in pictures}
    )
    return {
        label: {"images": images[label], "patients": patients[label]}
        for label in images
    }


def sources(
    found: Found, used: Sequence[Picture], skipped: Sequence[Skipped]
) -> list[Sequence[Any]]:
    """A row a file: what became of it, by its own name. For whoever has the files."""
    reasons = {one.name: one.reason for one in skipped}
    rows: list[Sequence[Any]] = [HEADING]
    for one in used:
        file = one.path.relative_to(found.root).as_posix()
        masks = " ".join(mask.relative_to(found.root).as_posix() for mask in one.masks)
        reason = reasons.get(one.image_id, "")
        rows.append([file, one.image_id, one.label, one.patient_id, masks, reason])
    for path, reason in found.left:
        rows.append([path.relative_to(found.root).as_posix(), "", "", "", "", reason])
    return rows


def page(metadata: Mapping[str, Any], folder: str) -> str:
    """The page that a build ends with, as Markdown."""
    by_class = metadata["counts"]
    images = sum(of_it["images"] for of_it in by_class.values())
    means = metadata["patients_are"]
    lines = [
        "# What was built",
        "",
        f"{images} images; {len(metadata['skipped'])} entries skipped. "
        f"Folder: {folder}.",
        f"A patient is {means}." if means else "Patients are those of the sheet.",
        "",
        "| class | images | patients |",
        "|---|---|---|",
    ]
    for label, of_it in by_class.items():
        lines.append(f"| {label or 'all'} | {of_it['images']} | {of_it['patients']} |")
    implausible = as_text({of: metadata[of] for of in ("masks", "pictures")})
    sections = (
        ("Notes", metadata["notes"]),
        ("Skipped", [f"{s['file']}: {s['reason']}" for s in metadata["skipped"]]),
        ("Look at these", [implausible] if implausible else []),
    )
    for title, entries in sections:
        if entries:
            lines += ["", f"## {title}", "", *(f"* {entry}" for entry in entries)]
    return "\n".join(lines) + "\n"
