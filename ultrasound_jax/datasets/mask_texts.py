"""Options that say in text what a mask's values or colours mean: `3=lung,4=lung`."""

import hashlib
import re
from typing import Any

from ultrasound_jax.media.mask_colours import check_colours
from ultrasound_jax.media.mask_values import label_values, mask_classes
from ultrasound_jax.types import InputError

TEXTS = {
    "mask_labels": "such as 1=lesion or 3=left lung,4=right lung,200-255=background",
    "mask_colours": "such as #00ff00=benign,#ff0000=malignant,grey=background",
}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ -]{0,39}")
_SLUG = 32  # letters of a text that a config's name repeats


def pairs(text: str) -> dict[str, str]:
    """What the option says, in its order; {} for an empty text.

    Raises:
        InputError: it is not of the form `what=class,what=class`.
    """
    said: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        what, equals, word = (one.strip() for one in part.partition("="))
        if not equals or not what or not _NAME.fullmatch(word) or what in said:
            raise InputError(f"{part!r} is not what=class, or is said twice")
        said[what] = word
    return said


def text_refusal(option: str, value: Any) -> str:
    """What is allowed instead of an option's value; empty if it is fine."""
    if not isinstance(value, str):
        return TEXTS[option]
    try:
        said = pairs(value)
        if option == "mask_labels":
            label_values(said)
        else:
            check_colours(said)
    except InputError as error:
        return f"{TEXTS[option]} ({error})"
    if said and not mask_classes(said):
        return f"{TEXTS[option]} (no class is named)"
    return ""


def told_text(option: str, text: str) -> str:
    """An option in a config's name: its letters, and a number that no other has."""
    slug = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:_SLUG]
    return f"{option}_{slug}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
