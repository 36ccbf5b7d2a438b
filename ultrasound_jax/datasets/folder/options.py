"""How a folder of pictures is read: the options of a build and their name."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ultrasound_jax.datasets.image_builder import MaskedConfig
from ultrasound_jax.datasets.mask_texts import TEXTS, told_text
from ultrasound_jax.datasets.options import Text
from ultrasound_jax.datasets.videos.options import listed, renames

NAME = Text("the name of a folder, not a path", r"[^\x00-\x1f\x7f/\\]{0,200}")
PATTERN = Text("a regular expression, such as '(\\d+)_\\d+'")
CLASS_FROM = ("folder", "sheet", "name", "none")
PATIENT_FROM = ("sheet_or_likeness", "sheet", "series", "folder", "likeness")
COLUMNS = ("file", "patient", "class")
MACRO = "macro"  # what reports call the mean over classes


@dataclass(kw_only=True)
class FolderConfig(MaskedConfig):
    r"""Where pictures, masks, classes and patients are told of.

    study: names the build, so that several folders' can lie in one `data_dir`. images:
    the folder that pictures lie in, if others lie beside them. class_from: the `folder`
    that a picture lies in, a `sheet`, its `name`, or `none`: masks alone. classes:
    which and in which order, `benign,malignant`; `0=benign,1=malignant` names them.
    class_pattern: with `name`, a regular expression whose first group is the class.
    mask_folder: the folder that masks lie in, where pictures lie in `images` or none.
    mask_name: a mask's name, `*` being its picture's; `*_mask` takes `a_mask_1` too.
    without_mask: pictures without one are left out (`skip`), or show nothing (`empty`).
    sheet: its file; by default `patients` or `pictures`, `.csv`, `.xlsx` or `.tsv`.
    rename: `Datei = file, Fall = patient, Befund = class`, what its columns are.
    patient_from: the sheet's column, or where there is none near duplicates; `series`,
    the first group of the regular expression of that name in a picture's name; the
    `folder` that it lies in beside that of its class; or `likeness`, near duplicates.
    ids: `counted`, so that nothing tells a file's name, or `as_written`.
    """

    ALLOWED = {
        "study": Text("letters, digits and _, 40 at most", r"[A-Za-z0-9_]{0,40}"),
        "images": NAME,
        "class_from": CLASS_FROM,
        "classes": Text("such as 'benign,malignant' or '0=benign,1=malignant'"),
        "class_pattern": PATTERN,
        "mask_folder": NAME,
        "mask_name": Text(
            "a name with one *, such as '*_mask'", r"|[^\x00-\x1f\x7f/\\*]*\*[^/\\*]*"
        ),
        "without_mask": ("skip", "empty"),
        "sheet": Text("the name of a file"),
        "rename": Text("'heading = file', '= patient' or '= class' between commas"),
        "patient_from": PATIENT_FROM,
        "series": PATTERN,
        "ids": ("counted", "as_written"),
    }

    study: str = ""
    images: str = ""
    class_from: str = "folder"
    classes: str = ""
    class_pattern: str = ""
    mask_folder: str = ""
    mask_name: str = ""
    without_mask: str = "skip"
    sheet: str = ""
    rename: str = ""
    patient_from: str = "sheet_or_likeness"
    series: str = ""
    ids: str = "counted"

    @property
    def has_masks(self) -> bool:
        """Whether pictures have masks."""
        return bool(self.mask_folder or self.mask_name)

    @property
    def wants_sheet(self) -> bool:
        """Whether there must be a sheet."""
        return "sheet" in (self.class_from, self.patient_from)

    @property
    def classes_said(self) -> dict[str, str]:
        """The name of each class by what it is called in the folder, in their order."""
        pairs = [part.partition("=") for part in listed(self.classes)]
        return {
            plain_name(called): plain_name(name or called) for called, _, name in pairs
        }

    @classmethod
    def refusal(cls, option: str, value: Any) -> str:
        """As `BuildConfig.refusal`."""
        said = super().refusal(option, value)
        if said or cls.ALLOWED.get(option) is not PATTERN:
            return said
        try:
            re.compile(value)
        except re.error as error:
            return f"{PATTERN.said} ({error})"
        return ""

    def contradiction(self, given: Collection[str]) -> str:
        """As `BuildConfig.contradiction`."""
        del given
        if said := self._unfit_texts():
            return said
        for option, chosen, value in (
            ("class_pattern", "class_from", "name"),
            ("series", "patient_from", "series"),
        ):
            is_chosen, is_given = getattr(self, chosen) == value, getattr(self, option)
            if is_chosen and not is_given:
                return f"{chosen}={value} needs {option}"
            if is_given and not is_chosen:
                return f"{option} is not read without {chosen}={value}"
        if self.class_from == "none" and not self.has_masks:
            return (
                "class_from=none without masks: nothing to learn; allowed with "
                "mask_folder or mask_name"
            )
        if self.class_from == "none" and self.classes:
            return "classes with class_from=none, allowed is one of them"
        for option in TEXTS:
            if getattr(self, option) and not self.has_masks:
                return f"{option} without mask_folder or mask_name: there are no masks"
        if self.without_mask == "empty" and not self.has_masks:
            return "without_mask=empty without mask_folder or mask_name: all would be"
        reads = self.wants_sheet or self.patient_from == "sheet_or_likeness"
        for option in ("sheet", "rename"):
            if getattr(self, option) and not reads:
                return (
                    f"{option} is not read with class_from={self.class_from} and "
                    f"patient_from={self.patient_from}"
                )
        return super().contradiction(())

    def _unfit_texts(self) -> str:
        """What is wrong about `rename` and `classes`; empty if nothing is."""
        strange = [new for _, new in renames(self.rename) if new not in COLUMNS]
        if strange:
            return (
                f"rename={self.rename!r}, allowed: 'heading = name' between commas, "
                f"names being {', '.join(COLUMNS)}"
            )
        names = list(dict.fromkeys(self.classes_said.values()))
        if self.classes and (len(names) < 2 or "" in names or MACRO in names):
            return (
                f"classes={self.classes!r}, allowed: two or more between commas, none "
                f"of them {MACRO}"
            )
        return ""

    def title(self) -> str:
        """What differs from the default; texts by a hash."""
        default = self.options()
        words = [self.study, f"{self.size}px" if self.size else "all_sizes"]
        for key, value in default.items():
            mine = getattr(self, key)
            if (
                mine == value
                or key == "size"
                or isinstance(self.ALLOWED.get(key), Text)
            ):
                continue
            words.append(told_text(key, mine) if key in TEXTS else f"{key}_{mine}")
        return "_".join(word for word in (*words, self.told_apart()) if word)

    def told(self) -> str:
        """The options in words; not the sheet's name, which may tell of somebody."""
        masks = " with masks" if self.has_masks else ""
        return (
            f"{self.size or 'all'} px{masks}, class by {self.class_from}, patient by "
            f"{self.patient_from}"
        )


def plain_name(text: str) -> str:
    """A class in small letters, with `_` for what is no letter or number."""
    return re.sub(r"\W+", "_", text.strip().lower()).strip("_")
