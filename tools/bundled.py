"""What lies in the wheels that we need, beside the code of their own projects.

Wheels bring shared libraries of others. `BUNDLED` says under which licences these are;
a test reads the installed wheels, so that a library that a new version brings or leaves
out shows.
"""

import re
from functools import cache
from importlib.metadata import Distribution, distributions
from typing import NamedTuple

LESSER_3_OR_2 = "LGPL-3.0-or-later OR GPL-2.0-or-later"
LESSER = "LGPL-2.1-or-later"
RUNTIME = "GPL-3.0-or-later WITH GCC-exception-3.1"
ZLIB_LIKE = "libpng-2.0"
BSD3, BSD2, MIT, APACHE = "BSD-3-Clause", "BSD-2-Clause", "MIT", "Apache-2.0"
# A library as its file begins -> its licence, as SPDX writes it.
BUNDLED = {
    "libLerc": APACHE,
    "libSPERR": BSD3,
    "libSZ3c": BSD3,
    "libSvtAv1Enc": "BSD-3-Clause-Clear",
    "libXau": "X11",
    "libaec": BSD2,
    "libaom": BSD2,
    "libasound": LESSER,
    "libavcodec": LESSER,
    "libavdevice": LESSER,
    "libavfilter": LESSER,
    "libavformat": LESSER,
    "libavif": BSD2,
    "libavutil": LESSER,
    "libblosc": BSD3,
    "libblosc2": BSD3,
    "libbrotlicommon": MIT,
    "libbrotlidec": MIT,
    "libbrotlienc": MIT,
    "libcharls": BSD3,
    "libcpcodec": APACHE,
    "libcrypto": "OpenSSL",
    "libdav1d": BSD2,
    "libdeflate": MIT,
    "libdrm": MIT,
    "libfreetype": "FTL OR GPL-2.0-or-later",
    "libgfortran": RUNTIME,
    "libgif": MIT,
    "libgmp": LESSER_3_OR_2,
    "libgnutls": LESSER,
    "libgomp": RUNTIME,
    "libharfbuzz": "MIT-Modern-Variant",
    "libhdf5": BSD3,
    "libhdf5_hl": BSD3,
    "libhogweed": LESSER_3_OR_2,
    "libjpeg": "IJG AND BSD-3-Clause AND Zlib",
    "libjpegxr": BSD2,
    "libjxl": BSD3,
    "libjxl_cms": BSD3,
    "libjxl_threads": BSD3,
    "libjxrglue": BSD2,
    "liblcms2": MIT,
    "liblz4": BSD2,
    "liblzfse": BSD3,
    "liblzhamcomp": MIT,
    "liblzhamdecomp": MIT,
    "liblzhamdll": MIT,
    "liblzma": "0BSD",
    "liblzokay": MIT,
    "liblzokay-c": MIT,
    "libmeshoptimizer": MIT,
    "libmp3lame": "LGPL-2.0-or-later",
    "libnettle": LESSER_3_OR_2,
    "libopenblasp": BSD3,
    "libopencore-amrnb": APACHE,
    "libopencore-amrwb": APACHE,
    "libopenjp2": BSD2,
    "libopenjph": BSD2,
    "libopus": BSD3,
    "libpng16": ZLIB_LIKE,
    "libquadmath": "LGPL-2.0-or-later",
    "libscipy_openblas": BSD3,
    "libscipy_openblas64_": BSD3,
    "libsharpyuv": BSD3,
    "libsnappy": BSD3,
    "libsodium": "ISC",
    "libssl": "OpenSSL",
    "libswresample": LESSER,
    "libswscale": LESSER,
    "libsz": BSD2,
    "libtiff": "libtiff",
    "libuhdr": APACHE,
    "libunistring": LESSER_3_OR_2,
    "libvpl": MIT,
    "libvpx": BSD3,
    "libwebp": BSD3,
    "libwebpdemux": BSD3,
    "libwebpmux": BSD3,
    "libx264": "GPL-2.0-or-later",
    "libx265": "GPL-2.0-or-later",
    "libxcb": "X11",
    "libxcb-shape": "X11",
    "libxcb-shm": "X11",
    "libxcb-xfixes": "X11",
    "libzfp": BSD3,
    "libzmq": "MPL-2.0",
    "libzopfli": APACHE,
    "libzstd": BSD3,
}
_FFMPEG = ("avcodec", "avdevice", "avfilter", "avformat", "avutil", "swresample") + (
    "swscale",
)
# PyAV builds its FFmpeg with `--enable-version3`.
IN_WHEEL = {("av", f"libav{part}"): "LGPL-3.0-or-later" for part in _FFMPEG}
IN_WHEEL |= {
    ("av", f"libsw{part}"): "LGPL-3.0-or-later" for part in ("resample", "scale")
}
_FILE = re.compile(r"(lib.+?)(?:-r0)?(?:-[0-9a-f]{8})*(?:\.\d+)*\.so(?:\.[\w.]+)?")
_STRONG = re.compile(r"(?<!L)GPL-")


class Library(NamedTuple):
    """A shared library of others in the wheel of a distribution."""

    wheel: str
    name: str
    file: str

    @property
    def licence(self) -> str:
        """As SPDX writes it; empty where the table does not know the library."""
        return IN_WHEEL.get((self.wheel, self.name), BUNDLED.get(self.name, ""))

    @property
    def is_copyleft(self) -> bool:
        """Whether its source has to be offered where it is passed on."""
        return "GPL" in self.licence or "MPL" in self.licence

    @property
    def is_strong(self) -> bool:
        """Whether what is linked with it must be under the GPL as a whole."""
        chosen = " OR " in self.licence or " WITH " in self.licence
        return bool(_STRONG.search(self.licence)) and not chosen


def name_of(file: str) -> str:
    """The library's name, without the hash and versions: `libx264`."""
    found = _FILE.fullmatch(file)
    return found[1] if found else file


@cache
def installed() -> list[Distribution]:
    """What is installed here, by name, each once."""
    found = {wheel_name(one): one for one in distributions()}
    return [found[name] for name in sorted(found)]


@cache
def wheel_name(one: Distribution) -> str:
    """The name of a distribution in the spelling of the lock."""
    return re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower()


@cache
def libraries() -> list[Library]:
    """Every shared library of others in the wheels that are installed here.

    They lie in folders `<name>.libs`, where the tool puts them that repairs wheels.
    """
    found = []
    for one in installed():
        for file in one.files or ():
            if ".so" in file.name and file.parts[0].endswith(".libs"):
                library = Library(wheel_name(one), name_of(file.name), file.name)
                found.append(library)
    return sorted(found)
