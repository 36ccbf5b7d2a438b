"""What the header of a picture file says that a reader must act on."""

from pathlib import Path
from typing import Any

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from ultrasound_jax.types import InputError

MAX_PIXELS = 64 * 2**20
FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
ORIENTATION, PHOTOMETRIC = 274, 262  # TIFF tags
WIDTH, HEIGHT, COMPRESSION, CHANNELS = 256, 257, 259, 277
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how files begin
OR_PAGE = ", or the option page says which"
_BITS, _DESCRIPTION, _SOFTWARE, _SAMPLE_FORMAT = 258, 270, 305, 339
_SUBFILE_TYPE = 254  # bit 0: a reduced copy, bit 2: a transparency mask
_FAX = ("group3", "group4", "tiff_ccitt")  # their writers store shown black as 1
_LOSSY = ("jpeg", "tiff_jpeg", "webp", "jpeg2000")
_KINDS = {1: "uint", 2: "int", 3: "float", 5: "complex int", 6: "complex float"}


def header_facts(path: Path, *, name: str) -> list[str]:
    """What the header says that a reader must act on: `turned`, `white_is_zero`,
    `palette`, `alpha`. Nothing is decoded, and what cannot be opened has none.
    """
    try:
        with Image.open(path, formats=FORMATS) as picture:
            tags: Any = getattr(picture, "tag_v2", {})
            told = {
                "turned": orientation_of(picture) != 1,
                "white_is_zero": bool(white_is_zero(picture, tags)),
                "palette": picture.mode in ("P", "PA"),
                "alpha": has_alpha(picture),
            }
    except Exception:  # reading says why
        return []
    return [word for word, is_so in told.items() if is_so]


def is_deep(path: Path) -> bool:
    """Whether a file holds samples of more than 8 bits; nothing is decoded."""
    try:
        with Image.open(path, formats=FORMATS) as picture:
            return stored_bits(picture, path) > 8
    except UnidentifiedImageError:
        return True  # such as a TIFF of float64
    except Exception:  # reading says why
        return False


def check_size(width: int, height: int, name: str) -> None:
    """Refuses what is too large to be decoded.

    Raises:
        InputError: above `MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name}: {width} x {height} px, allowed are {MAX_PIXELS} pixels"
        )


def turn_to_page(picture: Image.Image, name: str, page: int) -> None:
    """Goes to the page that is meant; copies of a page in small do not count."""
    count = getattr(picture, "n_frames", 1)
    if picture.format == "MPO":
        count = 1  # the first is the picture, the others are its depth or preview
    pages = list(range(count))
    if count > 1 and picture.format == "TIFF":
        pages = [place for place in pages if not _is_copy(picture, place)] or pages
    if not page and len(pages) > 1:
        what = "pages" if picture.format == "TIFF" else "frames of an animation"
        raise InputError(
            f"{name}: several pictures in one file ({len(pages)} {what}), allowed is "
            f"one{OR_PAGE}"
        )
    if page > len(pages) > 1:
        raise InputError(f"{name}: page {page} of {len(pages)} is not there")
    if count > 1:
        picture.seek(pages[min(max(page, 1), len(pages)) - 1])
    stack = str(getattr(picture, "tag_v2", {}).get(_DESCRIPTION, ""))
    images = [line for line in stack.splitlines() if line.startswith("images=")]
    if stack.startswith("ImageJ=") and count == 1 and images not in ([], ["images=1"]):
        raise InputError(
            f"{name}: several pictures in one file (an ImageJ stack, {images[0]}), "
            "allowed is one"
        )


def _is_copy(picture: Image.Image, place: int) -> bool:
    picture.seek(place)
    tags: Any = getattr(picture, "tag_v2", {})
    return bool(int(tags.get(_SUBFILE_TYPE, 0)) & 0b101)


def has_alpha(picture: Image.Image) -> bool:
    """Whether pixels may be transparent."""
    return picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or (
        "transparency" in picture.info and picture.mode in ("1", "L", "P", "RGB")
    )


def is_lossy(picture: Image.Image) -> bool:
    """Whether values are not exactly those that were written."""
    return picture.format in ("JPEG", "MPO") or (
        picture.info.get("compression") in _LOSSY
    )


def is_signed(tags: Any) -> bool:
    """Whether a TIFF says that its samples are whole numbers with a sign."""
    form = tags.get(_SAMPLE_FORMAT, 1)
    return (form[0] if isinstance(form, tuple) else form) == 2


def orientation_of(picture: Image.Image) -> int:
    """How the pixels lie, 1 to 8 as in EXIF and TIFF; 1 is upright."""
    if picture.format == "PNG" and "exif" not in picture.info:
        return 1  # asked for it, Pillow would decode the whole file
    try:
        found = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # a damaged EXIF block turns nothing
        return 1
    return int(found) if found in range(1, 9) else 1


def white_is_zero(picture: Image.Image, tags: Any) -> str:
    """ "" or who says that white is 0: see `picture_file.Samples`."""
    if not tags or tags.get(PHOTOMETRIC) != 0:
        return ""
    if picture.info.get("compression") in _FAX:
        return "fax"
    return declared_by(tags)


def declared_by(tags: Any) -> str:
    """Whether a program is known that declares WhiteIsZero and means the numbers."""
    described = str(tags.get(_DESCRIPTION, ""))
    program = str(tags.get(_SOFTWARE, "")).startswith("tifffile")
    program = program or described.startswith(("ImageJ=", '{"shape"'))
    return "program" if program else "file"


def stored_bits(picture: Image.Image, path: Path) -> int:
    """Bits a sample in the file, which Pillow may cut to 8 in colour."""
    if picture.format == "PNG":
        with path.open("rb") as file:
            head = file.read(25)  # signature, then the header's length, name and sides
        return head[24]
    bits = getattr(picture, "tag_v2", {}).get(_BITS, (8,))
    return max(bits if isinstance(bits, tuple) else (bits,))


def tiff_tags(path: Path) -> tuple[dict[int, Any], bool]:
    """The tags of a TIFF's first page, and whether others follow; {} if it is none."""
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] not in TIFF:
            return {}, False
        if 43 in head[2:4]:  # BigTIFF
            head += file.read(8)
        tags = TiffImagePlugin.ImageFileDirectory_v2(head)
        file.seek(tags.next)
        tags.load(file)
        return dict(tags), bool(tags.next)


def kind_of_samples(tags: dict[int, Any]) -> str:
    """The samples of a TIFF in NumPy's words, such as `float64`."""
    bits, form = tags.get(_BITS, 1), tags.get(_SAMPLE_FORMAT, 1)
    bits = max(bits) if isinstance(bits, tuple) else bits
    form = form[0] if isinstance(form, tuple) else form
    return f"{_KINDS.get(form, 'unknown')}{bits}"
