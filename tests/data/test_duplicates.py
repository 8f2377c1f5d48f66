"""Digests in 32 bytes each read as the texts that they were."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaginate.data import Digests


@given(st.lists(st.one_of(st.just(""), st.binary(max_size=3).map(lambda b: hashlib.sha256(b).hexdigest()))))
def test_digests_are_the_texts_that_were_given(texts):
    digests = Digests(texts)
    assert list(digests) == texts
    assert len(digests) == len(texts)
    assert [digests[n] for n in range(len(texts))] == texts
    assert list(digests[1:]) == texts[1:]
    assert digests == Digests(texts)


def test_what_is_beyond_the_end_is_an_index_error():
    with pytest.raises(IndexError):
        Digests([hashlib.sha256(b"").hexdigest()])[1]
