"""Names of classes: which is spam, and where nobody can tell."""

from __future__ import annotations

import pytest

from winnow.compiler.labels import config_of, spam_class
from winnow.errors import InputError

LABELS: list[tuple[int, tuple[str, ...], int]] = [
    (2, (), 1),
    (2, ("LABEL_0", "LABEL_1"), 1),
    (2, ("0", "1"), 1),
    (2, ("ham", "spam"), 1),
    (2, ("Spam", "Ham"), 0),
    (2, ("phishing", "legitimate"), 0),
    (2, ("not_spam", "SPAM"), 1),
    (2, ("not phishing", "other"), 1),
    (2, ("safe", "LABEL_1"), 1),
    (2, ("normal", "smishing"), 1),
    (2, ("non-spam", "odd"), 1),
    (1, (), 1),
    (1, ("LABEL_0",), 1),
    (1, ("spam",), 1),
    (1, ("ham",), 0),
]


@pytest.mark.parametrize(("classes", "labels", "spam"), LABELS)
def test_labels_tell_which_class_is_spam(classes: int, labels: tuple[str, ...], spam: int) -> None:
    """By the names that such models have; without names the second one is."""
    assert spam_class(None, classes, labels) == spam


def test_the_user_knows_better() -> None:
    """What is said by hand counts, whatever the labels."""
    assert spam_class(0, 2, ("ham", "spam")) == 0
    assert spam_class(4, 6, ()) == 4
    assert spam_class(0, 1, ()) == 0


@pytest.mark.parametrize(
    ("wished", "classes", "labels", "told"),
    [
        (2, 2, (), "there are 0 to 1"),
        (-1, 2, (), "there are 0 to 1"),
        (2, 1, (), "there are 0 to 1"),
        (None, 3, ("a", "b", "c"), r"3 classes apart \(0 is 'a'; 1 is 'b'; 2 is 'c'\)"),
        (None, 2, ("NEGATIVE", "POSITIVE"), "none of its labels is spam .*--spam-label"),
        (None, 2, ("spam", "phishing"), "--spam-label"),
        (None, 1, ("toxicity",), "--spam-label"),
    ],
)
def test_where_nobody_can_tell_it_is_asked_for(
    wished: int | None, classes: int, labels: tuple[str, ...], told: str
) -> None:
    """A model of moods is not taken for one of spam."""
    with pytest.raises(InputError, match=told):
        spam_class(wished, classes, labels)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("{}", ((), None)),
        ('{"id2label": {"0": "a", "2": "b"}, "max_position_embeddings": "9"}', ((), None)),
        ('{"id2label": ["a"], "max_position_embeddings": 0}', ((), None)),
        ('{"id2label": {"0": 1}, "max_position_embeddings": 9}', (("1",), 9)),
    ],
)
def test_a_config_may_say_nothing(data: str, found: tuple[tuple[str, ...], int | None]) -> None:
    """What is of another form is not guessed at."""
    assert config_of(data.encode(), "config.json") == found


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_a_damaged_config_is_told(data: bytes) -> None:
    """Passed over in silence, it would leave the wrong class to be spam."""
    with pytest.raises(InputError, match=r"^c/config\.json is"):
        config_of(data, "c/config.json")
