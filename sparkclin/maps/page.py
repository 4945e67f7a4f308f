"""A map of notes as an HTML page: points, a legend, and what a note shows where the pointer is."""

from __future__ import annotations

import json
from html import escape

from sparkclin.maps.note_map import NoteMap
from sparkclin.runs.html_page import html_page, shown

FEW = 400
"""Notes up to which points are large."""


def map_html(notes: NoteMap) -> str:
    """The page as text. All that comes from notes is escaped."""
    title = f"{len(notes.points):,} notes" + (f" by {notes.color}" if notes.color else "")
    about = f"{notes.how}. The closer two notes are, the more alike are their vectors; distances are approximate."
    sampled = f" Drawn by lot from {notes.n_notes:,}." if len(notes.points) < notes.n_notes else ""
    left_out = f" {notes.without:,} notes without a vector are left out." if notes.without else ""
    names = ", ".join(notes.text_columns)
    warning = f"<p class='warning'>This page contains the text of notes ({shown(names)}).</p>" if names else ""
    data = {"columns": notes.columns, "rows": notes.rows, "groups": [group.members for group in notes.colors.groups]}
    return html_page(
        title=title,
        style=_STYLE,
        body=f"""\
<header><h1>{shown(title)}</h1><p class="faint">{shown(about + sampled + left_out)}</p>{warning}</header>
<main class="card">
{_drawing(notes)}
{_legend(notes) if notes.color else ""}
</main>
<p class="faint">Point at a note to see it; a click on the legend shows the notes of a value. Turn the wheel to zoom,
drag to move, click twice to see all.</p>
<div id="note" role="status"></div>
<script type="application/json" id="data">{_data(data)}</script>""",
        script=_SCRIPT,
    )


def _data(data: object) -> str:
    """JSON that ends no element of HTML."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _drawing(notes: NoteMap) -> str:
    size = "few" if len(notes.points) <= FEW else "many"
    # A line of no length with round ends is a point of the same size at every scale.
    points = "".join(
        f"<path class='{css}' d='M{x:g} {y:g}h0'/>"
        for (x, y), css in zip(notes.points, notes.colors.classes, strict=True)
    )
    low, high = min(y for _, y in notes.points), max(y for _, y in notes.points)
    box = f"-0.04 {low - 0.04:g} 1.08 {high - low + 0.08:g}"
    said = f"A point for each of {len(notes.points):,} notes. {notes.how}."
    return (
        f"<svg id='map' class='{size}' viewBox='{box}' role='img' aria-labelledby='map-title map-desc'>"
        f"<title id='map-title'>Map of notes</title><desc id='map-desc'>{escape(said)}</desc>{points}</svg>"
    )


def _legend(notes: NoteMap) -> str:
    groups = "".join(
        f"<li><button type='button' aria-pressed='false'><i class='{group.css}'></i><span>{shown(group.name)}</span>"
        f"<small>{len(group.members):,}</small></button></li>"
        for group in notes.colors.groups
    )
    return f"<div class='legend'><h2>{shown(notes.color)}</h2><ul>{groups}</ul></div>"


_STYLE = """\
body { max-width: 84rem; }
:root { --c0: #3b76af; --c1: #d9762b; --c2: #4f9a4e; --c3: #b8404a; --c4: #8567ad; --c5: #8a6355; --c6: #d07db3;
        --c7: #a3a02d; --s0: #c5dcea; --s1: #9cc4dc; --s2: #6ea7cb; --s3: #4487b4; --s4: #256694; --s5: #0d4469;
        --none: #b9b9bd; }
@media (prefers-color-scheme: dark) {
  :root { --c0: #6aa8e0; --c1: #f0974f; --c2: #74c078; --c3: #ea6f76; --c4: #b095dd; --c5: #c39a8a; --c6: #f0a3d3;
          --c7: #cfcb57; --s0: #274257; --s1: #325c79; --s2: #3f799f; --s3: #559bc6; --s4: #82bfe2; --s5: #c4e4f6;
          --none: #5c5d64; }
}
header { margin-bottom: 1rem; }
main { display: grid; grid-template-columns: minmax(0, 1fr) 17rem; gap: 1.5rem; }
@media (max-width: 52rem) { main { grid-template-columns: minmax(0, 1fr); padding: .75rem; } }
main:not(:has(.legend)) { grid-template-columns: minmax(0, 1fr); }
svg { display: block; width: 100%; max-height: 78vh; touch-action: pan-y; cursor: crosshair; }
path { stroke: var(--color); stroke-linecap: round; vector-effect: non-scaling-stroke; opacity: .8; }
.few path { stroke-width: 11px; }
.many path { stroke-width: 6px; opacity: .65; }
@media (max-width: 52rem) { .few path { stroke-width: 8px; } .many path { stroke-width: 4px; } }
svg .out { opacity: .1; }
svg .here { stroke: var(--text) !important; opacity: 1; }
.legend h2 { margin: .2rem .5rem .4rem; overflow-wrap: anywhere; }
ul { list-style: none; margin: 0; padding: 0; }
button { display: flex; align-items: center; gap: .6rem; width: 100%; padding: .28rem .5rem; border: 0; font: inherit;
         font-size: .9rem; border-radius: .4rem; background: none; color: var(--text); text-align: left;
         cursor: pointer; }
button:hover, button[aria-pressed=true] { background: var(--track); }
button span { flex: 1; overflow-wrap: anywhere; }
button i { flex: none; width: .75rem; height: .75rem; border-radius: 50%; background: var(--color); }
#note { position: fixed; z-index: 1; display: none; max-width: min(22rem, calc(100vw - 2rem)); padding: .55rem .8rem;
        border: 1px solid var(--line); border-radius: .5rem; background: var(--card); font-size: .87rem;
        box-shadow: 0 .3rem 1.2rem rgb(0 0 0 / .18); pointer-events: none; overflow-wrap: anywhere; }
#note dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .1rem .8rem; margin: 0; }
#note dt { color: var(--faint); }
#note dd { margin: 0; }
path, i { --color: var(--c0); }
""" + "".join(
    f".{css} {{ --color: var(--{css}); }}\n" for css in [*(f"c{n}" for n in range(8)), *(f"s{n}" for n in range(6))]
) + ".other, .none { --color: var(--none); }\n"  # fmt: skip

_SCRIPT = """
"use strict";
const map = document.getElementById("map"), box = document.getElementById("note");
const data = JSON.parse(document.getElementById("data").textContent);
const points = [...map.querySelectorAll("path")];
const places = points.map(point => point.getAttribute("d").match(/[-\\d.e]+/g).map(Number));
const view = map.viewBox.baseVal, whole = [view.x, view.y, view.width, view.height];
let here = null, from = null;

function nearest(event) {
  const at = map.getScreenCTM();
  let found = null, least = 14;
  places.forEach(([x, y], i) => {
    const far = Math.hypot(at.a * x + at.e - event.clientX, at.d * y + at.f - event.clientY);
    if (far < least && !points[i].classList.contains("out")) [found, least] = [i, far];
  });
  return found;
}
function show(found, event) {
  if (here !== null) points[here].classList.remove("here");
  here = found;
  box.style.display = found === null ? "none" : "block";
  if (found === null) return;
  points[found].classList.add("here");
  const list = document.createElement("dl");
  data.columns.forEach((name, i) => {
    for (const [tag, text] of [["dt", name], ["dd", data.rows[found][i]]])
      list.appendChild(document.createElement(tag)).textContent = text;
  });
  box.replaceChildren(list);
  const {clientX: x, clientY: y} = event, {width, height} = box.getBoundingClientRect();
  box.style.left = Math.max(8, Math.min(x + 16, innerWidth - width - 8)) + "px";
  box.style.top = (y + 16 + height < innerHeight ? y + 16 : Math.max(8, y - height - 12)) + "px";
}
function look(x, y, width, height) { map.setAttribute("viewBox", [x, y, width, height].join(" ")); }
map.addEventListener("pointermove", event => {
  if (!from) return show(nearest(event), event);
  const at = map.getScreenCTM();
  look(from.x - (event.clientX - from.px) / at.a, from.y - (event.clientY - from.py) / at.d, view.width, view.height);
});
map.addEventListener("pointerdown", event => {
  show(nearest(event), event);
  if (event.pointerType === "mouse") from = {x: view.x, y: view.y, px: event.clientX, py: event.clientY};
});
addEventListener("pointerup", () => { from = null; });
map.addEventListener("pointerleave", event => show(null, event));
map.addEventListener("dblclick", () => look(...whole));
map.addEventListener("wheel", event => {
  event.preventDefault();
  const at = map.getScreenCTM(), by = Math.exp(event.deltaY / 500);
  const x = (event.clientX - at.e) / at.a, y = (event.clientY - at.f) / at.d;
  look(x - (x - view.x) * by, y - (y - view.y) * by, view.width * by, view.height * by);
}, {passive: false});
document.querySelectorAll("button").forEach((button, number, all) => button.addEventListener("click", () => {
  const on = button.getAttribute("aria-pressed") !== "true", members = new Set(data.groups[number]);
  all.forEach(other => other.setAttribute("aria-pressed", on && other === button));
  points.forEach((point, i) => point.classList.toggle("out", on && !members.has(i)));
}));
"""
