"""What all HTML pages have in common: one file that needs no network, light and dark, readable by its owner only.

Charts are HTML tables with a bar in a cell, and inline SVG: they follow the reader's light or dark by style sheet, and
their numbers are text. A drawing library puts 1.3 MB (Bokeh) to 4.8 MB (Plotly) of script into each file, and draws in
the colours of one of the two.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

from sparkclin.errors import InputError, OptionError
from sparkclin.schema import plain_value, printable
from sparkclin.spark.storage import OWNER_ONLY, is_remote, is_taken, local_path, write_text


def html_page(*, title: str, style: str, body: str, script: str = "") -> str:
    """The page; `title` is text, all else is HTML, CSS and JavaScript as it is. No other script than `script` runs."""
    allowed = f"; script-src '{_digest(script)}'" if script else ""
    return _PAGE.substitute(
        title=escape(title),
        policy=f"default-src 'none'; style-src 'unsafe-inline'{allowed}",
        style=_STYLE + style,
        body=body,
        script=f"<script>{script}</script>\n" if script else "",
    )


def _digest(script: str) -> str:
    return "sha256-" + b64encode(sha256(script.encode()).digest()).decode()


def facts(rows: Mapping[str, object]) -> str:
    """Names and what they are, as a list."""
    return "<dl class='facts'>" + "".join(f"<dt>{shown(k)}</dt><dd>{shown(v)}</dd>" for k, v in rows.items()) + "</dl>"


def shown(value: object) -> str:
    """A value as text in HTML: `1,200`, `a, b`."""
    return escape(printable(plain_value(value)))


def check_is_here(path: str) -> None:
    """Raises OptionError for a page's path on another file system."""
    if is_remote(path):
        raise OptionError(f"the page is a file of this machine, and {path} is not. Write it here and copy it.")


def check_file(path: str, *, option: str) -> Path:
    """The file of a page that is to be written, before the work begins; `option` is where its name comes from.

    Raises OptionError for a path on another file system, and InputError where something is there already, or its folder
    is not.
    """
    check_is_here(path)
    file = local_path(path)
    if is_taken(path):
        raise InputError(f"{file} exists already; nothing is overwritten. Choose another {option}.")
    if not file.absolute().parent.is_dir():
        raise InputError(f"{file.parent} is not a folder. Make it, or choose another {option}.")
    return file


def write_file(file: Path, page: str, *, option: str) -> None:
    """Writes a page whole, readable by its owner only; raises InputError where it cannot be written."""
    try:
        write_text(file, page, mode=OWNER_ONLY)
    except OSError as error:
        raise InputError(f"nothing can be written to {file} ({error.strerror}). Check {option}.") from None


_STYLE = """\
:root { color-scheme: light dark; --page: #f6f6f4; --card: #fff; --text: #1d1d1f; --faint: #63636b; --line: #e3e3e0;
        --track: #efefec; --accent: #2f6f9f; --warn: #b4540a; --saturation: 85%; --lightness: 86%; }
@media (prefers-color-scheme: dark) {
  :root { --page: #131416; --card: #1c1d20; --text: #e8e8ea; --faint: #a2a2ab; --line: #303136; --track: #292a2f;
          --accent: #6cb0e0; --warn: #f0a253; --saturation: 45%; --lightness: 27%; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 2.5rem); background: var(--page); color: var(--text);
       font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; -webkit-text-size-adjust: 100%; }
h1 { font-size: 1.5rem; line-height: 1.25; letter-spacing: -.01em; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 0 0 .25rem; }
p { margin: .3rem 0; }
small { color: var(--faint); font-weight: normal; }
.faint { color: var(--faint); }
.warning { font-weight: 600; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.1rem 1.25rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; }
th { font-weight: normal; color: var(--faint); }
"""

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="$policy">
<title>$title</title>
<style>
$style</style>
</head>
<body>
$body
$script</body>
</html>
""")
