"""A page in a headless browser, where there is one: how wide and large things are."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# What does not fit into the page by itself, and text or pictures that are too small.
_MEASURE = """
const page = frame.contentDocument, root = page.documentElement;
const boxed = e => e.closest('.scroll') !== null;
const all = [...page.body.querySelectorAll('*')];
const outside = all.filter(e => !boxed(e) && e.getBoundingClientRect().right > WIDTH);
const texts = all.filter(e => [...e.childNodes].some(
  n => n.nodeType === 3 && n.textContent.trim()));
const sizes = texts.map(e => parseFloat(page.defaultView.getComputedStyle(e).fontSize));
const images = [...page.images].map(i => [i.naturalWidth, i.clientWidth]);
const captions = [...page.querySelectorAll('.caption, figcaption')].map(
  e => e.getBoundingClientRect().width);
document.title = JSON.stringify({
  width: root.scrollWidth, outside: outside.map(e => e.outerHTML.slice(0, 80)),
  smallest: Math.min(...sizes), images, captions});
"""


def browser() -> str:
    """The browser's program; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser to open the page with: none of {', '.join(NAMES)}")
    return found


def measure(page: Path, width: int, folder: Path) -> dict[str, Any]:
    """What a window of so many pixels shows of a page: see `_MEASURE`."""
    script = _MEASURE.replace("WIDTH", str(width))
    text = html.escape(page.read_text(), quote=True)
    wrapper = folder / f"{page.stem}_{width}.html"
    # A window is never narrower than some 500 pixels; a frame in it may be.
    wrapper.write_text(
        f'<!DOCTYPE html><title></title><iframe id="frame" srcdoc="{text}" '
        f'style="border:0;width:{width}px;height:3000px"></iframe><script>'
        "const frame = document.getElementById('frame');"
        f"frame.onload = () => {{{script}}};</script>"
    )
    done = subprocess.run(
        [
            browser(),
            *("--headless", "--disable-gpu", "--no-sandbox", "--hide-scrollbars"),
            f"--user-data-dir={folder / 'profile'}",
            *("--virtual-time-budget=20000", "--dump-dom", wrapper.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"HOME": str(folder)},
    )
    title = re.search(r"<title>(\{.*?\})</title>", done.stdout, re.DOTALL)
    assert title, done.stderr[-2000:]
    return json.loads(html.unescape(title[1]))
