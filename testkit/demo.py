"""The shipped models and notes, and the pipeline that embeds them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "pipelines" / "embed_notes.py"
DEMO_NOTES = ROOT / "sparkclin" / "demo" / "notes.jsonl"
MODEL = "clinical_longformer_demo"
NER_MODEL = "demo_ner"

SHORT = "BP 120/80, he's well. No acute distress 🩺 was noted.\n\nFollow-up in 2 wks. </s> is text."
"""A note with most of what goes wrong: marks inside words, a character of two code units, a special piece's name."""
