"""Notes of a corpus that comes as words: which words have no space between them in ordinary text.

Corpora for entities are split at every punctuation mark: `Parkinson ' s disease ( 6 . 5 mg / kg ) .` A note says
`Parkinson's disease (6.5 mg/kg).`, so a model has to be trained and scored on that. The rules are ours, because
MosesDetokenizer (sacremoses 0.2.0) returns `L - dopa`, `0. 05` and `Parkinson 's`, and no offsets. What the corpus does
not tell stays unknown: a dash between words becomes a hyphen, and a space follows every comma but that of thousands
(`1, 4-dioxane`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from sparkclin.errors import OptionError

NATURAL = "natural"
TOKENIZED = "tokenized"
SPELLINGS = (NATURAL, TOKENIZED)
"""As in ordinary text, or with a space between all words."""

_NO_SPACE = re.compile(
    r"""
      (?<![=<>])[ ](?=[.,;:?!)\]}%'’])      # failure .  6 %  Crohn '
    | (?<=[(\[{\#$])[ ]                     # ( PD  $ 10
    | [ ](?=/)|(?<=/)[ ]                    # mg / kg
    | (?<![=<>,;:])[ ](?=-)                 # L - dopa, but = -2
    | (?<=-)(?<!\+[ ]/[ ]-)[ ](?!(?:and|or)[ ])  # - dopa, but 5 +/- 2 and sex- and age-related
    | (?<=-[ ]>)[ ]                         # C --> T
    | (?<=['’])[ ](?=(?:s|t|d|m|re|ve|ll)\b)     # ' s disease
    | [ ](?=n['’]t\b)                       # did n't
    | (?<=[\d=<>][ ]\.)[ ](?=\d)            # 0 . 05  < . 05
    | (?<=\d[ ],)[ ](?=\d{3}\b)             # 1 , 000
    | (?<=\b[A-Za-z][ ]\.)[ ](?=[A-Za-z][ ]\.)   # e . g .
    """,
    re.VERBOSE,
)
_QUOTED = re.compile(r'"( ).*?( )"')


def glued_words(words: Sequence[str], *, spelling: str) -> tuple[bool, ...]:
    """Return for each word of a sentence whether it follows the word before without a space.

    Raises OptionError for an unknown spelling.
    """
    if spelling not in SPELLINGS:
        raise OptionError(f"unknown spelling of a corpus, {spelling!r}: expected one of {', '.join(SPELLINGS)}.")
    if spelling == TOKENIZED:
        return (False,) * len(words)
    text = " ".join(words)
    without = {match.start() for match in _NO_SPACE.finditer(text)}
    without |= {match.start(side) for match in _QUOTED.finditer(text) for side in (1, 2)}
    begins = accumulate((len(word) + 1 for word in words[:-1]), initial=0)
    return tuple(begin - 1 in without for begin in begins)
