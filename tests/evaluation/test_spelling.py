from __future__ import annotations

import pytest

from sparkclin.errors import OptionError
from sparkclin.evaluation.ner import Sentence
from sparkclin.evaluation.spelling import NATURAL, TOKENIZED


@pytest.mark.parametrize(
    "text",
    [
        "He has heart failure.",
        "Parkinson's disease (PD), 20 weeks' duration; Crohn's: 5'-AMP?",
        "L-dopa 10 mg/kg [n = 7], 6.5% of 1,000 patients, P < .05",
        "39 +/- 10 ml/min, (+/-)-PG-9, Dbh +/- mice, delta = -6.7%",
        "sex- and age-related, intra- or extracellular, double-blind",
        'the "on-off" effect and "meth mouth"',
        "e.g., 5 mg i.v. vs. 10 mg p.o.",
        "G-->A, US $10 and patient #163",
        "He didn't say. 🩺 Naïve.",
        "IL-2",
    ],
)
def test_words_are_spelled_as_in_ordinary_text(text: str) -> None:
    """Cut at every punctuation mark, as the corpora are, and put together again."""
    sentence = Sentence.of(words_of(text), ["O"] * len(words_of(text)), spelling=NATURAL)
    assert sentence.text == text
    assert [sentence.text[begin:end] for begin, end in sentence.ranges] == words_of(text)


def words_of(text: str) -> list[str]:
    found = [""]
    for character in text:
        if character.isalnum():
            found[-1] += character
        else:
            found += [character, ""]
    return [word for word in found if word.strip()]


def test_tokenized_words_have_a_space_between_them() -> None:
    sentence = Sentence.of(["heart", "-", "failure", "."], ["O"] * 4, spelling=TOKENIZED)
    assert sentence.text == "heart - failure ."
    assert sentence.ranges == ((0, 5), (6, 7), (8, 15), (16, 17))


def test_an_unknown_spelling_is_refused() -> None:
    with pytest.raises(OptionError, match="unknown spelling of a corpus, 'penn': expected one of natural, tokenized"):
        Sentence.of(["a"], ["O"], spelling="penn")
