"""The vocabulary of a host annotator: every id that is sent is where the graph expects it."""

from __future__ import annotations

import pytest

from sparkclin.models.hosts import WORDPIECE_SPECIALS, host_vocabulary
from sparkclin.wire import codes
from sparkclin.wire.tags import HOST_IDS, Vocabulary

VOCABULARY = Vocabulary(size=100, cls_id=0, sep_id=2, pad_id=1)


@pytest.mark.parametrize("specials", [WORDPIECE_SPECIALS, codes.SPECIAL_PIECES])
def test_codes_have_their_ids_and_special_pieces_follow_those_of_positions(
    specials: tuple[str, ...],
) -> None:
    code_words = [codes.encode(index) for index in range(VOCABULARY.n_codes)]
    words = host_vocabulary(VOCABULARY, specials, code_words=code_words)
    assert len(words) == len(set(words)) == VOCABULARY.n_codes == 300 + HOST_IDS
    sent = [*range(VOCABULARY.n_tagged), *range(VOCABULARY.first_request, VOCABULARY.n_codes)]
    assert [words[index] for index in sent] == [codes.encode(index) for index in sent]
    assert words.index(specials[0]) == VOCABULARY.n_tagged
