"""Packs: windows of about equal length in one row, and which of their pieces are pooled into one vector.

Spark NLP puts a fixed number of rows into a batch, whatever their length. A pack is a whole batch in a single row: its
windows one after the other, each with its `<s>` and `</s>`, padded to one length; the graph cuts it up again
(`export.graph.packs`). What is pooled is said by the ids: each of a pack's pieces has one of three marks, and its id is
V + mark · V + piece id.
"""

from __future__ import annotations

CONTINUES_SPAN, BEGINS_SPAN, NOT_POOLED = range(3)
N_MARKS = 3
"""The marks of a piece: one of the span of the piece before; first of a new span; read, but in no span."""
