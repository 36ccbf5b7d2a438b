"""What lies in a folder: which files are pictures, which are masks, and of which."""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.folder.options import FolderConfig, plain_name
from ultrasound_jax.datasets.made_from import OURS
from ultrasound_jax.datasets.videos.files import list_files
from ultrasound_jax.media.pictures import SUFFIXES, natural_order
from ultrasound_jax.runs.table_cells import SUFFIXES as SHEETS

MOST_CLASSES, FEW_CLASSES = 50, 3  # more, or so few, are asked about, or are not
SOURCES = OURS  # private: which file is behind which id
# What a mask is called where nobody has said so: to take one for a picture of its class
# would teach a network the answer.
_LIKE_A_MASK = re.compile(
    r"(?:^|[ _-])(?:masks?|seg|segmentations?|gt)(?:[ _-]?\d+)?$", re.I
)

Key = tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """One picture, its masks, and what is known of it.

    label: its class, or "" where there are none. image_id: what records, messages and
    metadata call it; the file's own path only if ids are `as_written`.
    """

    path: Path
    masks: tuple[Path, ...] = ()
    label: str = ""
    image_id: str = ""
    patient_id: str = ""

    def __repr__(self) -> str:
        return f"Picture({self.image_id!r})"


@dataclass
class Found:
    """What a folder holds, as far as file names say it.

    left: files of which no picture is made, with the reason. sheets: that lie there.
    """

    root: Path
    pictures: list[Picture] = field(default_factory=list)
    left: list[tuple[Path, str]] = field(default_factory=list)
    sheets: list[Path] = field(default_factory=list)

    def leave(self, path: Path, reason: str) -> None:
        """Notes that a file is not used."""
        self.left.append((path, reason))


def look_through(root: Path, config: FolderConfig) -> Found:
    """The pictures below the folder in the order of their names, each with its masks.

    Raises:
        DatasetError: no picture, or files that look like masks and are not said to be.
    """
    found = Found(root)
    images: dict[Key, list[Path]] = defaultdict(list)
    masks: dict[Key, list[Path]] = defaultdict(list)
    paths = sorted(list_files(root), key=lambda path: _order(path, root))
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            if path.suffix.lower() in SHEETS:
                found.sheets += [] if path.name.endswith(OURS) else [path]
            else:
                found.leave(path, f"not a picture, allowed: {', '.join(SUFFIXES)}")
            continue
        folders = _folders(path, root)
        if (key := _mask_key(path, folders, config)) is not None:
            masks[key].append(path)
        elif config.images and _plain(config.images) not in folders:
            found.leave(path, f"lies in no folder {config.images!r}")
        elif config.mask_folder and _plain(config.mask_folder) in folders:
            found.leave(path, f"a mask not named as {config.mask_name!r}")
        else:
            images[_without(folders, config.images) + (_plain(path.stem),)].append(path)
    if not images:
        raise DatasetError(
            f"folder: no picture below {root}"
            + (f" in a folder {config.images!r}" if config.images else "")
            + f", allowed are {', '.join(SUFFIXES)}"
        )
    if not config.has_masks:
        _refuse_masks([path for several in images.values() for path in several], root)
    _pair(found, images, masks, config)
    return found


def _pair(
    found: Found,
    images: dict[Key, list[Path]],
    masks: dict[Key, list[Path]],
    config: FolderConfig,
) -> None:
    for key, paths in images.items():
        if config.has_masks and len(paths) > 1:
            for path in paths:
                found.leave(
                    path, "several pictures of its name, of which one has masks"
                )
            for path in masks.pop(key, ()):
                found.leave(path, "a mask of several pictures")
            continue
        of_it = tuple(masks.pop(key, ()))
        for path in paths:
            if config.has_masks and not of_it and config.without_mask == "skip":
                found.leave(path, "has no mask")
            else:
                found.pictures.append(Picture(path, of_it))
    for paths in masks.values():
        for path in paths:
            found.leave(path, "a mask without its image")
    found.pictures.sort(key=lambda picture: _order(picture.path, found.root))


def with_classes(
    found: Found, config: FolderConfig, of_sheet: dict[Path, str] | None
) -> tuple[list[Picture], tuple[str, ...]]:
    """The pictures whose class is known, and the classes in their order.

    Args:
        found: the pictures; those without a class are left there with the reason.
        config: what tells the class.
        of_sheet: the class by picture, if the sheet tells it.

    Raises:
        DatasetError: fewer than two classes, or folders of which it is not said which
            are classes and which patients.
    """
    if config.class_from == "none":
        return found.pictures, ()
    said, outer = config.classes_said, _outer_folders(found, config)
    kept: list[Picture] = []
    for picture in found.pictures:
        called, reason = _class_of(picture.path, found.root, config, of_sheet, outer)
        name = said.get(called, "") if said else called
        if called and not name:
            told = f" {called!r}" if config.ids == "as_written" else ""
            reason = f"its class{told} is none of {', '.join(said)}"
        if name:
            kept.append(replace(picture, label=name))
        else:
            found.leave(picture.path, reason)
    counts = Counter(picture.label for picture in kept)
    names = dict.fromkeys(said.values()) if said else sorted(counts, key=natural_order)
    classes = tuple(name for name in names if counts[name])
    if len(classes) < 2:
        why = "; ".join(dict.fromkeys(reason for _, reason in found.left[:200]))
        raise DatasetError(
            f"folder: {len(classes)} classes ({', '.join(classes) or why}) by "
            f"class_from={config.class_from} below {found.root}, allowed are two or "
            "more, or class_from=none with masks"
        )
    many = 2 * len(classes) > len(kept) and len(classes) > FEW_CLASSES
    if not said and (many or len(classes) > MOST_CLASSES):
        raise DatasetError(
            f"folder: {len(classes)} classes for {len(kept)} pictures by class_from="
            f"{config.class_from}, allowed are {MOST_CLASSES} and half as many as "
            "pictures; are these patients or series? classes='…' says what the classes "
            "are"
        )
    return kept, classes


def _outer_folders(found: Found, config: FolderConfig) -> int:
    """How many folders all pictures lie in, of which none is a class.

    Raises:
        DatasetError: below these are folders in folders, and nothing says which of them
            are classes: the others may be patients.
    """
    if config.class_from != "folder" or config.classes:
        return 0
    places = {
        _without(_folders(picture.path, found.root), config.images)
        for picture in found.pictures
    }
    outer = len(os.path.commonprefix(list(places)))
    if len(places) < 2:
        return outer - 1
    if max(map(len, places)) > outer + 1:
        first = {place[outer] for place in places if len(place) > outer}
        raise DatasetError(
            f"folder: pictures lie in folders within {len(first)} folders; say which "
            "are the classes, such as classes='benign,malignant', and of patients "
            "patient_from=folder"
        )
    return outer


def _class_of(
    path: Path,
    root: Path,
    config: FolderConfig,
    of_sheet: dict[Path, str] | None,
    outer: int,
) -> tuple[str, str]:
    """What a picture's class is called, or "" and why nothing says it."""
    if config.class_from == "sheet":
        called = (of_sheet or {}).get(path, "")
        return plain_name(called), "the sheet says no class of it"
    if config.class_from == "name":
        called = first_group(config.class_pattern, path.name)
        return plain_name(called), "its name has no class_pattern"
    folders = [
        plain_name(name) for name in _without(_folders(path, root), config.images)
    ]
    if said := config.classes_said:
        folders = [name for name in folders if name in said]
        return (folders or [""])[-1], f"lies in no folder of {', '.join(said)}"
    return (folders[outer:] or [""])[-1], "lies in no folder that names its class"


def first_group(pattern: str, name: str) -> str:
    """What the pattern's first group matches in a name, or the whole; "" if nothing."""
    match = re.search(pattern, name)
    if match is None:
        return ""
    return (match[1] or "") if match.re.groups else match[0]


def own_folder(path: Path, found: Found, config: FolderConfig, label: str) -> str:
    """The folders that a picture lies in beside that of its class; "" if none."""
    said = config.classes_said
    of_class = [called for called, name in said.items() if name == label] or [label]
    folders = _without(_folders(path, found.root), config.images)
    return "/".join(name for name in folders if plain_name(name) not in of_class)


def with_ids(
    pictures: Sequence[Picture], found: Found, config: FolderConfig
) -> list[Picture]:
    """The pictures, class by class, with the name that records and messages have.

    `benign_0003` is the third of its class by name, `image_0003` the third of all.
    """
    count: Counter[str] = Counter()
    named = []
    for picture in pictures:
        count[picture.label] += 1
        image_id = f"{picture.label or 'image'}_{count[picture.label]:04d}"
        if config.ids == "as_written":
            image_id = picture.path.relative_to(found.root).as_posix()
        named.append(replace(picture, image_id=image_id))
    return named


def _mask_key(path: Path, folders: Key, config: FolderConfig) -> Key | None:
    """The key of the picture that a mask belongs to; None if the file is no mask."""
    if not config.has_masks:
        return None
    if config.mask_folder and _plain(config.mask_folder) not in folders:
        return None
    before, _, after = (config.mask_name or "*").partition("*")
    numbered = r"(?:[ _-]?\d+)?" if after else ""
    pattern = rf"{re.escape(_plain(before))}(.+?){re.escape(_plain(after))}{numbered}"
    match = re.fullmatch(pattern, _plain(path.stem))
    if match is None:
        return None
    beside = _without(_without(folders, config.mask_folder), config.images)
    return (*beside, match[1])


def _refuse_masks(paths: Sequence[Path], root: Path) -> None:
    by_name = [path for path in paths if _LIKE_A_MASK.search(path.stem)]
    by_folder = [
        path
        for path in paths
        if any(_LIKE_A_MASK.search(folder) for folder in _folders(path, root))
    ]
    for alike, say in (
        (by_name, "mask_name='*_mask'"),
        (by_folder, "mask_folder='masks'"),
    ):
        if alike:
            name = alike[0].relative_to(root).as_posix()
            raise DatasetError(
                f"folder: {len(alike)} pictures look like masks, as {name!r}; say "
                f"which are, such as {say}"
            )


def _folders(path: Path, root: Path) -> Key:
    return tuple(_plain(part) for part in path.parent.relative_to(root).parts)


def _without(folders: Key, name: str) -> Key:
    """The folders but for the one of that name."""
    return tuple(folder for folder in folders if not name or folder != _plain(name))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _order(path: Path, root: Path) -> list[tuple[tuple[int, int, str], ...]]:
    return [natural_order(part) for part in path.relative_to(root).parts]
