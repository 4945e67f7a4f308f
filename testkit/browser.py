"""A headless Chromium, to see what a page looks like."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from html import unescape
from pathlib import Path
from string import Template
from typing import Any

import pytest
from PIL import Image

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""The program; None where there is none."""

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")

_FRAME = Template("""\
<!DOCTYPE html>
<iframe src="$page" style="width: ${width}px; height: ${height}px; border: 0"></iframe>
<script>
addEventListener("message", event => {
  const answer = document.createElement("pre");
  answer.id = "answer";
  answer.textContent = event.data;
  document.body.append(answer);
});
</script>
""")
_ANSWER = re.compile(r'<pre id="answer">(.*?)</pre>', re.DOTALL)
_POLICY = re.compile(r'(Content-Security-Policy" content="[^"]*?)(; script-src ([^"]*))?"')


def brightness(picture: Path) -> float:
    """The mean of a picture: 0 is black, 255 is white."""
    mean = Image.open(picture).convert("L").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(mean, int)
    return mean


@dataclass(frozen=True, kw_only=True)
class Browser:
    """A window of `width` × `height` pixels, of a reader who likes it `dark` or not. `folder` is for its files."""

    folder: Path
    width: int = 1200
    height: int = 1000
    dark: bool = False

    def screenshot(self, page: str, name: str) -> Path:
        """The page as a picture, `name`.png."""
        picture = self.folder / f"{name}.png"
        self._run(f"--screenshot={picture}", str(self._file(page)))
        return picture

    def ask(self, page: str, expression: str) -> Any:
        """What an expression of JavaScript gives in the page."""
        asked = f"addEventListener('load', () => parent.postMessage(JSON.stringify({expression}), '*'));"
        # The page's own policy stays, and lets this script in too.
        allowed = "'sha256-" + b64encode(sha256(asked.encode()).digest()).decode() + "'"
        page = _POLICY.sub(lambda found: f'{found[1]}; script-src {found[3] or ""} {allowed}"', page, count=1)
        open_page = page.replace("</body>", f"<script>{asked}</script></body>")
        # In a frame: a window is never narrower than 500 pixels.
        frame = _FRAME.substitute(page=self._file(open_page).name, width=self.width, height=self.height)
        dom = self._run("--dump-dom", "--virtual-time-budget=5000", str(self._file(frame, name="frame.html")))
        found = _ANSWER.search(dom)
        assert found, dom[-2000:]
        return json.loads(unescape(found[1]))

    def _file(self, page: str, *, name: str = "page.html") -> Path:
        file = self.folder / name
        file.write_text(page, encoding="utf-8")
        return file

    def _run(self, *arguments: str) -> str:
        assert CHROMIUM
        command = [
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",  # CI is root in a container
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            f"--user-data-dir={self.folder / 'profile'}",
            f"--window-size={self.width},{self.height}",
            f"--blink-settings=preferredColorScheme={0 if self.dark else 1}",
            *arguments,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        return done.stdout
