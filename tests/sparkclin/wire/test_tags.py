"""Which ids may be sent: those of positions with their tags, then the host's own, then requests."""

from __future__ import annotations

import pytest

from sparkclin.errors import OptionError
from sparkclin.wire.tags import BEGIN, INSIDE, OUTSIDE, SEGMENT_TAGS, Vocabulary


def vocabulary(size: int) -> Vocabulary:
    return Vocabulary(size=size, cls_id=0, sep_id=2, pad_id=1)


def test_ids_of_a_vocabulary_follow_each_other() -> None:
    found = vocabulary(100)
    assert (found.n_tagged, found.first_request, found.n_codes) == (300, 308, 340)
    assert found.separators == 0


def test_the_tags_are_those_of_exported_graphs() -> None:
    assert (INSIDE, BEGIN, OUTSIDE, SEGMENT_TAGS) == (0, 1, 2, 3)


def test_a_vocabulary_may_be_as_large_as_codes_can_carry() -> None:
    """3 · 695,032 + 40 = 2,085,136"""
    assert vocabulary(695_032).n_codes == 2_085_136
    with pytest.raises(OptionError, match=r"695,033 piece ids with 3 tags make 2,085,099 ids; .* carry 2,085,096"):
        vocabulary(695_033)
