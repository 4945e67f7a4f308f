"""Secrets in URLs are not shown."""

from __future__ import annotations

import pytest

from sparkclin.errors import InputError, masked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3a://KEY:se/cr+t@bucket/x is", "s3a://***@bucket/x is"),
        ("s3a://:secret@bucket/x", "s3a://***@bucket/x"),
        ("https://token@host/x", "https://***@host/x"),
        ("https://host/x?sv=1&sig=a%2Fb, or", "https://host/x?*** or"),
        ("'ftp://a:b@host/x?c=d'", "'ftp://***@host/x?***"),
    ],
)
def test_what_is_secret_in_a_url_is_masked(text: str, expected: str) -> None:
    assert masked(text) == expected
    assert str(InputError(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["abfss://notes@account.dfs/x", "hdfs://name:8020/a@b", "s3a://bucket/n-?.jsonl", "/a/b?c=d", "spark://host:7077"],
)
def test_the_rest_stays(text: str) -> None:
    assert masked(text) == text
