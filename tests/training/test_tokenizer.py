"""The trained tokenizer has RoBERTa's layout and loses no text."""

from __future__ import annotations

from pathlib import Path

import pytest

transformers = pytest.importorskip("transformers", reason="needs the train extra")
tokenizers = pytest.importorskip("tokenizers")

from sparkclin.errors import OptionError  # noqa: E402
from training.tokenizer import main, save_tokenizer, train_sentencepiece, train_tokenizer  # noqa: E402

TEXTS = [
    "The patient's blood pressure was 120/80.",
    "No chest pain, no shortness of breath; the patient denies fever.",
    "PLAN:\n1. Continue aspirin.\n2. Follow-up in 2 weeks.",
]
HARD = "BP 120/80,  He's  afebrile (38.5 °C)\n\n\tnaïve – 患者 😀 "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(train_tokenizer(TEXTS, vocab_size=300), folder)
    return folder


def test_special_pieces_have_robertas_ids(folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>"]) == [0, 1, 2, 3]
    assert tokenizer.mask_token_id == len(tokenizer) - 1
    assert (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id) == (0, 2, 1)
    assert tokenizer.model_max_length == 4096


@pytest.mark.parametrize("text", [*TEXTS, HARD, ""])
def test_text_comes_back_and_nothing_is_unknown(folder: Path, text: str) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text)["input_ids"]
    assert (ids[0], ids[-1]) == (0, 2)
    assert 3 not in ids
    assert tokenizer.decode(ids[1:-1], clean_up_tokenization_spaces=False) == text


def test_every_reader_gives_the_same_ids(folder: Path) -> None:
    readers = [transformers.AutoTokenizer, transformers.RobertaTokenizerFast, transformers.LongformerTokenizerFast]
    rows = [reader.from_pretrained(folder)(HARD)["input_ids"] for reader in readers]
    alone = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode(HARD).ids
    from_old_files = tokenizers.ByteLevelBPETokenizer.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    assert rows == [alone] * 3
    assert [0, *from_old_files.encode(HARD).ids, 2] == alone


def test_offsets_leave_out_the_space_before_a_word(folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    text = "no fever"
    spans = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
    assert "".join(text[begin:end] for begin, end in spans) == "nofever"


def test_loaded_and_saved_again_the_files_are_the_same(folder: Path, tmp_path: Path) -> None:
    save_tokenizer(transformers.AutoTokenizer.from_pretrained(folder), tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        file.name: file.read_bytes() for file in folder.iterdir()
    }


def test_too_small_a_vocabulary_is_refused() -> None:
    with pytest.raises(OptionError, match="261"):
        train_tokenizer(TEXTS, vocab_size=260)


def test_bigbirds_special_pieces_and_the_text_of_its_pieces(tmp_path: Path) -> None:
    save_tokenizer(train_sentencepiece(TEXTS, vocab_size=90), tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    specials = ["<pad>", "</s>", "<s>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    assert tokenizer.convert_tokens_to_ids(specials) == list(range(7))
    ids = tokenizer(TEXTS[0])["input_ids"]
    assert (ids[0], ids[-1]) == (4, 5)
    assert 3 not in ids
    assert tokenizer.decode(ids[1:-1], clean_up_tokenization_spaces=False).strip() == TEXTS[0]
    again = train_sentencepiece(TEXTS, vocab_size=90)
    assert again.get_vocab() == tokenizer.get_vocab()


def test_the_command_trains_a_familys_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("\n".join(TEXTS * 4), encoding="utf-8")
    arguments = [str(notes), "--output", str(tmp_path / "out"), "--family", "bigbird", "--vocab-size", "90"]
    main([*arguments, "--held-out", "0"])
    assert " pieces from 20 notes -> " in capsys.readouterr().out
    assert isinstance(transformers.AutoTokenizer.from_pretrained(tmp_path / "out"), transformers.BigBirdTokenizer)
