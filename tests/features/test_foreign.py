"""A tokenizer of others: what it is given of a message, what is left without a word, its file."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

tokenizers = pytest.importorskip("tokenizers", reason="the extra [import] is not installed")

from tests.features.messages import message, parsed_messages  # noqa: E402
from winnow.errors import InputError, ReaderError  # noqa: E402
from winnow.features import ForeignTokenizer, Given, Named, read_content  # noqa: E402
from winnow.features.foreign import LARGEST_BYTES  # noqa: E402
from winnow.features.tokens import LONGEST, SHORTEST  # noqa: E402
from winnow.message import Address, Link, Message  # noqa: E402
from winnow.tokens import FIELDS, NAME, SUBJECT, TEXT, Tokens  # noqa: E402

APOSTROPHE = "\u2019"  # which the reflex takes for a letter
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = tuple(
    f"{before}{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789é你好" for before in ("", "##")
)
PIECES = (
    *SPECIAL,
    *LETTERS,
    *"[]!.-$",
    APOSTROPHE,
    "free",
    "money",
    "meet",
    "##ing",
    "the",
    "report",
    "Big",
)
LIMIT = 32


def _word_pieces(*, ends: bool = True, lower: bool = True) -> bytes:
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({p: n for n, p in enumerate(PIECES)}, unk_token="[UNK]")
    )
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lower, strip_accents=False)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    if ends:
        made.post_processor = tokenizers.processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    made.add_special_tokens(list(SPECIAL))
    return made.to_str().encode()


def _byte_pairs() -> bytes:
    """As RoBERTa's: bytes, a space belongs to the word after it."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=special,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(["free money meeting the report"] * 4, trainer)
    made.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return made.to_str().encode()


def _unigram() -> bytes:
    """As XLM-R's and ALBERT's: a space is a sign of the word after it."""
    scores = [("<unk>", 0.0), ("▁", -2.0), *((c, -4.0) for c in "abcdefghijklmnopqrstuvwxyz.!$")]
    scores += [(word, -1.0) for word in ("▁free", "▁money", "▁meet", "ing", "▁the", "▁report")]
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(scores, unk_id=0))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    return made.to_str().encode()


MADE = {"word pieces": _word_pieces(), "byte pairs": _byte_pairs(), "unigram": _unigram()}
TOKENIZER = ForeignTokenizer(MADE["word pieces"], Given(LIMIT))


def _texts(text: str, **others: str) -> tuple[str, ...]:
    return tuple({"text": text, **others}.get(name, "") for name in FIELDS)


def _read(parsed: Message, **how: Any) -> Tokens:
    tokenizer = ForeignTokenizer(MADE["word pieces"], Given(LIMIT, **how))
    return tokenizer.read(parsed, read_content(parsed))


def _shown(tokens: Tokens) -> str:
    return " ".join(PIECES[index] for index in tokens.ids.tolist())


MESSAGE = message(
    subject="[list] Free money",
    sender=Address("The  Report", "winner@prize.example"),
    links=(Link("http://www.meet.test/x", "www.meet.test", ""),),
    text="See\n\n  the\treport.",
    hidden="money",
)


def test_subject_name_and_text_are_read_in_this_order() -> None:
    """Each token is of its field; links and hidden text are left out unless they are asked for."""
    tokens = _read(MESSAGE)
    assert tokens.text == "Free money\nThe Report\nSee the report."
    assert _shown(tokens) == "[CLS] free money the report s ##e ##e the report . [SEP]"
    inner = [SUBJECT] * 2 + [NAME] * 2 + [TEXT] * 6
    assert tokens.fields.tolist()[1:-1] == inner


def test_other_fields_in_another_order() -> None:
    """As the classifier was trained."""
    tokens = _read(MESSAGE, fields=("text", "hidden", "subject"))
    assert tokens.text == "See the report.\nmoney\nFree money"
    assert _read(MESSAGE, fields=("links",)).text == "meet.test"


def test_capitals_and_digits_are_kept() -> None:
    """A cased classifier knows them; our own normal form would take them away."""
    tokenizer = ForeignTokenizer(_word_pieces(lower=False), Given(LIMIT))
    tokens = tokenizer.assemble(_texts("Big 123 the"))
    assert _shown(tokens) == "[CLS] Big 1 ##2 ##3 the [SEP]"


@given(parsed_messages(), st.sampled_from(sorted(MADE)), st.sampled_from([SHORTEST, 40]))
def test_any_message_has_tokens_within_the_limit(parsed: Message, kind: str, limit: int) -> None:
    """Hostile mail too; each token has a field and a place in the text, and there is always one."""
    tokenizer = ForeignTokenizer(MADE[kind], Given(limit))
    tokens = tokenizer.read(parsed, read_content(parsed))
    assert 1 <= len(tokens.ids) <= limit
    assert tokens.ids.dtype == tokens.fields.dtype == np.int64
    assert (len(tokens.fields), tokens.spans.shape) == (len(tokens.ids), (len(tokens.ids), 2))
    assert 0 <= tokens.ids.min() <= tokens.ids.max() < tokenizer.size
    assert set(tokens.fields.tolist()) <= {SUBJECT, NAME, TEXT}
    assert ((tokens.spans >= 0) & (tokens.spans <= max(1, len(tokens.text)))).all()


@pytest.mark.parametrize("kind", MADE)
def test_a_long_message_is_cut_before_it_is_tokenized(kind: str) -> None:
    """A megabyte takes no longer than a page; the time for a message is bounded."""
    tokenizer = ForeignTokenizer(MADE[kind], Given(LIMIT))
    for text in ("free money " * 100_000, "x" * 1_000_000, "!" * 1_000_000):
        start = time.process_time()
        tokens = tokenizer.assemble(_texts(text[:30_000], subject=text[:30_000]))
        assert time.process_time() - start < 0.5
        assert len(tokens.text) < 16 * LIMIT


def test_a_long_subject_leaves_room_for_the_text() -> None:
    """Whoever writes the subject does not choose that nothing else is read."""
    tokenizer = ForeignTokenizer(MADE["word pieces"], Given(64))
    tokens = tokenizer.assemble(_texts("free", subject="report " * 500))
    assert tokens.fields.tolist().count(TEXT) == 1
    assert _shown(tokens).endswith("free [SEP]")


def test_a_special_token_in_mail_is_a_word_like_any_other() -> None:
    """Writing "[SEP]" or "[PAD]" into a message neither ends it nor hides what follows."""
    tokens = TOKENIZER.assemble(_texts("[SEP] [PAD] free"))
    assert _shown(tokens) == "[CLS] [ s ##e ##p ] [ p ##a ##d ] free [SEP]"


def test_half_a_pair_of_surrogates_is_read() -> None:
    """Mail may hold one, and the library takes none."""
    assert _shown(TOKENIZER.assemble(_texts("free \ud800 money"))).startswith("[CLS] free")


def test_an_empty_message_has_a_token_without_special_ones() -> None:
    """No graph answers for none."""
    tokenizer = ForeignTokenizer(_word_pieces(ends=False), Given(LIMIT))
    assert _shown(tokenizer.assemble(_texts(""))) == "."
    assert _shown(TOKENIZER.assemble(_texts(""))) == "[CLS] [SEP]"


def _named(text: str, kind: str = "word") -> Named:
    return Named(kind, text, 0)


@pytest.mark.parametrize("kind", MADE)
def test_without_a_word_each_occurrence_is_gone_and_nothing_moves_up(kind: str) -> None:
    """Whole words only, in capitals too, whatever the pieces; special tokens stay."""
    tokenizer = ForeignTokenizer(MADE[kind], Given(LIMIT))
    whole = tokenizer.assemble(_texts("free meeting, the meet. Free report", subject="the free"))
    left = tokenizer.without(_named("free"), whole)
    words = [whole.text[first:after].strip() for first, after in left.spans.tolist()]
    assert "free" not in "".join(words).lower()
    gone = len(whole.ids) - len(left.ids)
    assert gone >= 3
    kept = [n for n, (a, b) in enumerate(whole.spans.tolist()) if "free" not in _word(whole, a, b)]
    assert left.ids.tolist() == whole.ids[kept].tolist()
    assert left.fields.tolist() == whole.fields[kept].tolist()
    assert tokenizer.without(_named("meet"), whole).ids.tolist() != whole.ids.tolist()
    assert tokenizer.without(_named("freemoney"), whole).ids.tolist() == whole.ids.tolist()


def _word(tokens: Tokens, first: int, after: int) -> str:
    """The run of letters that a piece is in."""
    last = after - 1
    if first == after or not tokens.text[last].isalnum():
        return ""
    start = end = last
    while start > 0 and tokens.text[start - 1].isalnum():
        start -= 1
    while end < len(tokens.text) and tokens.text[end].isalnum():
        end += 1
    return tokens.text[start:end].lower()


def test_a_word_within_a_word_stays() -> None:
    """Without "meet", "meeting" is still there."""
    whole = TOKENIZER.assemble(_texts("meet meeting the"))
    assert _shown(TOKENIZER.without(_named("meet"), whole)) == "[CLS] meet ##ing the [SEP]"
    assert _shown(TOKENIZER.without(_named("meeting"), whole)) == "[CLS] meet the [SEP]"


def test_a_thing_of_several_words_goes_as_a_whole() -> None:
    """A host, or a word with a sign in it; its parts elsewhere stay."""
    whole = TOKENIZER.assemble(_texts(f"report meet.test the meet test don{APOSTROPHE}t"))
    left = TOKENIZER.without(_named("meet.test", "link"), whole)
    assert _shown(left) == f"[CLS] report the meet t ##e ##s ##t d ##o ##n {APOSTROPHE} t [SEP]"
    assert _shown(TOKENIZER.without(_named(f"don{APOSTROPHE}t"), whole)).endswith(
        "t ##e ##s ##t [SEP]"
    )


def test_a_trait_is_no_text() -> None:
    """Without it the reader reads the same."""
    whole = TOKENIZER.assemble(_texts("free"))
    assert TOKENIZER.without(_named("free", "trait"), whole) is whole


def test_a_script_without_spaces_goes_sign_by_sign() -> None:
    """As the reflex names it: each sign is a word."""
    whole = TOKENIZER.assemble(_texts("你好 你"))
    assert _shown(TOKENIZER.without(_named("你"), whole)) == "[CLS] 好 [SEP]"


def test_words_are_led_by_what_their_pieces_got() -> None:
    """Pieces of a word and its repeats are added; special tokens are no words."""
    tokens = TOKENIZER.assemble(_texts("Meeting free the free !"))
    assert _shown(tokens) == "[CLS] meet ##ing free the free ! [SEP]"
    shares = [9.0, 1.0, 1.5, 1.0, -2.0, 1.2, 0.5, 9.0]
    assert TOKENIZER.leading_words(tokens, shares, 1.0, 2) == ["meeting", "free"]
    assert TOKENIZER.leading_words(tokens, shares, 1.0, 9) == ["meeting", "free", "!"]
    assert TOKENIZER.leading_words(tokens, shares, -1.0, 9) == ["the"]


@pytest.mark.parametrize("kind", MADE)
def test_leading_words_are_found_in_the_message(kind: str) -> None:
    """In the form in which they are looked for, so that a person sees the message's own word."""
    tokenizer = ForeignTokenizer(MADE[kind], Given(LIMIT))
    parsed = message(subject="Free", text="the MONEY")
    reading = read_content(parsed)
    tokens = tokenizer.read(parsed, reading)
    words = tokenizer.leading_words(tokens, [1.0] * len(tokens.ids), 1.0, 9)
    found = {thing.text for thing in reading.find(words, tokenizer.normal, 50)}
    assert {"free", "the", "money"} <= found


def test_several_threads_may_ask() -> None:
    """Each gets the tokens of its own message."""
    texts = [_texts(" ".join(["free"] * (n % 20) + ["money"])) for n in range(200)]
    alone = [TOKENIZER.assemble(text).ids.tolist() for text in texts]
    with ThreadPoolExecutor(4) as pool:
        found = [tokens.ids.tolist() for tokens in pool.map(TOKENIZER.assemble, texts)]
    assert found == alone


def test_settings_of_the_file_give_way_to_ours() -> None:
    """Padding to a length and cutting at another are for batches; messages come one by one."""
    made = tokenizers.Tokenizer.from_str(MADE["word pieces"].decode())
    made.enable_padding(length=99)
    made.enable_truncation(max_length=4)
    tokenizer = ForeignTokenizer(made.to_str().encode(), Given(LIMIT))
    tokens = tokenizer.assemble(_texts("the " * 8))
    assert _shown(tokens) == " ".join(["[CLS]", *["the"] * 8, "[SEP]"])


def test_its_size_is_that_of_the_graphs_table() -> None:
    """The largest id counts, added tokens too, not how many pieces there are."""
    assert TOKENIZER.size == len(PIECES)
    value = json.loads(MADE["word pieces"])
    value["added_tokens"].append(value["added_tokens"][0] | {"id": 5_000, "content": "<new>"})
    assert ForeignTokenizer(json.dumps(value).encode(), Given(LIMIT)).size > len(PIECES)


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[1]", b"\xff\xfe", b'{"model": 1}', b"[" * 10_000, MADE["word pieces"][:-9]],
    ids=["empty", "no model", "a list", "no text", "another model", "deep", "cut off"],
)
def test_what_is_no_tokenizer_is_refused(data: bytes) -> None:
    """One sentence with the name of the file and what writes one."""
    with pytest.raises(InputError, match=r"words\.json is no tokenizer .*save_pretrained") as told:
        ForeignTokenizer(data, Given(LIMIT), "words.json")
    assert "\n" not in str(told.value)


def test_winnows_own_tokenizer_is_no_foreign_one() -> None:
    """The two files share their name."""
    with pytest.raises(InputError, match="no tokenizer of Hugging Face"):
        ForeignTokenizer(b'{"form": "x", "limit": 64, "pieces": ["a"]}', Given(LIMIT))


def test_a_file_that_is_too_large_is_not_read() -> None:
    """No tokenizer is a tenth of that."""
    with pytest.raises(InputError, match="larger than"):
        ForeignTokenizer(b" " * (LARGEST_BYTES + 1), Given(LIMIT))


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answering with an imported reader needs it, too."""
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InputError, match=r"pip install 'winnow-mail\[import\]'"):
        ForeignTokenizer(MADE["word pieces"], Given(LIMIT))


class _Panic(BaseException):
    """As the library's panics, which are no `Exception`."""


_Panic.__name__ = "PanicException"


@pytest.mark.parametrize("fault", [_Panic("index out of bounds\nat line 1"), ValueError("odd")])
def test_a_failure_of_the_library_is_the_readers(fault: BaseException) -> None:
    """The reflex's answer stands then; what stops the program is not held."""
    tokenizer = ForeignTokenizer(MADE["word pieces"], Given(LIMIT))

    class Broken:
        def encode(self, text: str) -> Any:
            raise fault

    tokenizer._made = Broken()
    with pytest.raises(ReaderError, match=r"the tokenizer failed: (index|odd)") as told:
        tokenizer.assemble(_texts("free"))
    assert "\n" not in str(told.value)
    fault = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        tokenizer.assemble(_texts("free"))


@given(
    st.integers(SHORTEST, LONGEST),
    st.lists(st.sampled_from(FIELDS), min_size=1, unique=True).map(tuple),
)
def test_how_a_message_is_given_comes_back_from_json(limit: int, fields: tuple[str, ...]) -> None:
    """As reader.json keeps it."""
    assert Given.from_json(Given(limit, fields).to_json()) == Given(limit, fields)


@pytest.mark.parametrize(
    ("limit", "fields", "told"),
    [
        (SHORTEST - 1, ("text",), "16 to 512"),
        (LONGEST + 1, ("text",), "16 to 512"),
        (64, (), "once"),
        (64, ("text", "text"), "once"),
        (64, ("body",), "no field 'body'; a message has subject, name"),
    ],
)
def test_no_message_could_be_given_so(limit: int, fields: tuple[str, ...], told: str) -> None:
    """It says what there is to choose from."""
    with pytest.raises(InputError, match=told):
        Given(limit, fields)


GIVEN = {"tokenizer": "hugging-face", "limit": 64, "fields": ["text"]}


@pytest.mark.parametrize(
    "value",
    [
        *([], 1, {}, GIVEN | {"tokenizer": "other"}, GIVEN | {"limit": "64"}),
        *(GIVEN | {"limit": True}, GIVEN | {"fields": "text"}, GIVEN | {"fields": [1]}),
    ],
)
def test_another_reader_json_is_refused(value: Any) -> None:
    """A damaged or foreign file is one kind of error."""
    with pytest.raises(InputError, match=r"reader\.json is not one of Winnow's"):
        Given.from_json(json.dumps(value).encode())
    with pytest.raises(InputError, match=r"reader\.json is not one of Winnow's"):
        Given.from_json(json.dumps(value).encode() + b"}")
