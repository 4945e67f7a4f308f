"""Parquet: files that are damaged, empty, unlike or no Parquet are refused before work; ids are UTF-8."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from sparkclin.errors import IncompleteError, InputError, StepError
from sparkclin.runs.corpus import NoteSource, count_corpus, count_notes, read_corpus
from sparkclin.runs.sources import tables
from sparkclin.spark.failures import step

SCHEMA = pa.schema([("note_id", pa.string()), ("text", pa.string())])


def write(path: Path, *, n: int = 3, schema: pa.Schema = SCHEMA) -> Path:
    values = {"string": [f"{path.stem}{i} Quackenbush" for i in range(n)], "int64": list(range(n))}
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [pa.array(values.get(str(kind), [b"x"] * n), type=kind) for kind in schema.types]
    pq.write_table(pa.table(columns, schema=schema), path)
    return path


def refused(spark: SparkSession, path: Path, **options: str) -> str:
    with pytest.raises(InputError) as found:
        count_notes(read_corpus(spark, NoteSource(path=str(path), **options)).notes, path=str(path))  # type: ignore[arg-type]
    assert "Quackenbush" not in str(found.value)
    assert "\n" not in str(found.value)
    return str(found.value)


@pytest.mark.parametrize("damage", ["head", "tail", "no Parquet"])
@pytest.mark.parametrize("ignore", ["false", "true"])
def test_a_damaged_file_is_named(spark: SparkSession, tmp_path: Path, damage: str, ignore: str) -> None:
    """Whatever the session says of such files."""
    for name in "abcd":
        whole = write(tmp_path / f"{name}.parquet").read_bytes()
    cut = {"head": whole[: len(whole) // 2], "tail": whole[20:], "no Parquet": b"Quackenbush, fever\n" * 9}[damage]
    (tmp_path / "c.parquet").write_bytes(cut)
    spark.conf.set("spark.sql.files.ignoreCorruptFiles", ignore)
    try:
        message = refused(spark, tmp_path)
    finally:
        spark.conf.unset("spark.sql.files.ignoreCorruptFiles")
    if damage != "tail":  # there the footer is whole
        assert message.startswith(f"{tmp_path}/c.parquet is no whole Parquet file: it is cut off, damaged")


def test_a_file_of_no_bytes_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"")
    assert f"1 files of {tmp_path} have no byte (first: {tmp_path}/b.parquet)" in refused(spark, tmp_path)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ([("note_id", pa.string())], "text is binary (STRING) in the one, missing in the other"),
        ([("note_id", pa.int64()), ("text", pa.string())], "note_id is binary (STRING) in the one, int64 in the other"),
        ([("note_id", pa.string()), ("text", pa.binary())], "text is binary (STRING) in the one, binary in the other"),
        ([("note_id", pa.string()), ("Text", pa.string())], "text is binary (STRING) in the one, missing in the other"),
    ],
    ids=["a column less", "other ids", "bytes", "another case"],
)
def test_files_with_other_columns_are_named(
    spark: SparkSession, tmp_path: Path, schema: list[tuple[str, pa.DataType]], said: str
) -> None:
    write(tmp_path / "a.parquet")
    write(tmp_path / "b.parquet", schema=pa.schema(schema))
    message = refused(spark, tmp_path)
    assert message.startswith(f"1 of 2 files of {tmp_path} have other columns of notes than {tmp_path}/a.parquet")
    assert said in message


def test_other_columns_than_those_of_notes_may_differ(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "a.parquet")
    write(tmp_path / "b.parquet", schema=pa.schema([*SCHEMA, ("ward", pa.int64())]))
    write(tmp_path / "c.parquet", schema=pa.schema([(f.name, f.type) for f in reversed(list(SCHEMA))]))
    corpus = read_corpus(spark, NoteSource(path=str(tmp_path)))
    assert corpus.records == count_notes(corpus.notes) == 9


@pytest.mark.parametrize(("name", "content"), [("n.jsonl", '{"note_id": 1}\n'), ("n.csv.gz", "x"), ("n", "x")])
def test_another_format_read_as_parquet_says_what_to_give(
    spark: SparkSession, tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    kind = {"n.jsonl": "--input-format jsonl", "n.csv.gz": "--input-format csv"}.get(name, "check --input-format")
    assert kind in refused(spark, tmp_path / name, format="parquet")


def test_partition_folders_are_a_part_of_parquet(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "ward=1" / "a.parquet")
    write(tmp_path / "ward=2" / "b.parquet")
    assert read_corpus(spark, NoteSource(path=str(tmp_path))).records == 6
    write(tmp_path / "ward 3" / "c.parquet")
    assert "1 files of" in (message := refused(spark, tmp_path))
    assert "--recursive" in message
    corpus = read_corpus(spark, NoteSource(path=str(tmp_path), recursive=True))
    assert corpus.records == count_notes(corpus.notes) == 9


@pytest.mark.parametrize("folder", ["text=other", "NOTE_ID=007"])
def test_the_name_of_a_folder_does_not_take_the_place_of_a_column(
    spark: SparkSession, tmp_path: Path, folder: str
) -> None:
    write(tmp_path / folder / "a.parquet")
    assert "are named after the column" in (message := refused(spark, tmp_path))
    assert "other" not in message
    corpus = read_corpus(spark, NoteSource(path=str(tmp_path), recursive=True))
    assert [row.text for row in corpus.notes.orderBy("note_id").collect()] == [f"a{i} Quackenbush" for i in range(3)]


@pytest.mark.parametrize("other", ["a.parquet", "ward=2/year=7/a.parquet", "year=7/a.parquet"])
def test_a_file_beside_partition_folders_is_not_lost(spark: SparkSession, tmp_path: Path, other: str) -> None:
    """Spark reads the files in partition folders alone, or an assertion in it fails."""
    write(tmp_path / "ward=1" / "b.parquet")
    write(tmp_path / other)
    assert "are in folders of other keys (key=value) than" in (message := refused(spark, tmp_path))
    assert "--recursive" in message
    corpus = read_corpus(spark, NoteSource(path=str(tmp_path), recursive=True))
    assert corpus.records == count_corpus(corpus) == 6


def test_records_are_counted_by_the_footers(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever of the files Spark reads."""
    write(tmp_path / "ward=1" / "b.parquet")
    write(tmp_path / "a.parquet", n=5)
    write(tmp_path / "c.parquet", n=0)
    monkeypatch.setattr(tables, "_check_partitions", lambda *_: None)
    corpus = read_corpus(spark, NoteSource(path=str(tmp_path)))
    assert (corpus.records, corpus.not_read) == (8, ("c.parquet",))
    with pytest.raises(IncompleteError, match=r"8 records are in .*, and Spark read 3 notes from them"):
        count_corpus(corpus)


def test_a_page_that_is_not_what_was_written_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    """By the checksums that a writer may have given its pages."""
    texts = pa.table([pa.array(["1"]), pa.array(["no fever " * 9])], schema=SCHEMA)
    file = tmp_path / "a.parquet"
    plainly = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    pq.write_table(texts, file, write_page_checksum=True, **plainly)
    file.write_bytes(file.read_bytes().replace(b"no fever", b"my fever", 1))
    notes = read_corpus(spark, NoteSource(path=str(tmp_path))).notes
    with pytest.raises(StepError, match="a Parquet file of the input is damaged"), step("in the test"):
        notes.collect()


@pytest.mark.parametrize(
    ("kind", "ids"),
    [(pa.list_(pa.string()), [["a"]]), (pa.map_(pa.string(), pa.int64()), [[("Quackenbush, John", 1)]])],
)
def test_an_id_of_many_values_is_refused(
    spark: SparkSession, tmp_path: Path, kind: pa.DataType, ids: list[object]
) -> None:
    pq.write_table(pa.table({"note_id": pa.array(ids, kind), "text": ["x"]}), tmp_path / "a.parquet")
    assert "an id is one value of its own" in refused(spark, tmp_path)


def test_fields_of_a_text_are_not_named(spark: SparkSession, tmp_path: Path) -> None:
    text = pa.array([{"Quackenbush, John": 1}])
    pq.write_table(pa.table({"note_id": ["a"], "text": text}), tmp_path / "a.parquet")
    assert "is struct, expected string" in refused(spark, tmp_path)


def test_ids_that_are_not_utf8_are_counted(spark: SparkSession, tmp_path: Path) -> None:
    ids = [b"a", b"\xff", b"\xed\xa0\x80", "é\ufffd".encode(), b"b\x00"]
    broken = pa.array(ids, pa.binary()).view(pa.string())
    pq.write_table(pa.table([broken, pa.array(["x"] * 5)], schema=SCHEMA), tmp_path / "a.parquet")
    assert "of 5 notes, 2 notes have an id that is not UTF-8" in refused(spark, tmp_path)


def test_the_first_ids_are_shown_if_they_are_plain(spark: SparkSession, tmp_path: Path) -> None:
    ids = pa.array([*("d", "c", "b", "a", "Quackenbush, John") * 2, "single"])
    pq.write_table(pa.table([ids, pa.array(["x"] * 11)], schema=SCHEMA), tmp_path / "a.parquet")
    message = refused(spark, tmp_path)
    assert "10 notes share 5 ids with others (such as a, b, c); every note" in message


def test_a_delta_table_is_not_read_as_its_files(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "a.parquet")
    (tmp_path / "_delta_log").mkdir()
    assert "--input-format delta" in refused(spark, tmp_path, format="parquet")


@pytest.mark.parametrize(
    ("path", "recursive"),
    [
        ("store/notes*", False),
        ("store/notes/*.parquet", False),
        ("store/notes/a.parquet", False),
        ("store/notes/y=1", False),
        ("store/notes/y=1/b.parquet", False),
        ("store", True),
    ],
)
@pytest.mark.parametrize("format_", [None, "parquet"])
def test_no_way_to_the_files_of_a_delta_table_reads_them(
    spark: SparkSession, tmp_path: Path, path: str, *, recursive: bool, format_: str | None
) -> None:
    """They may be notes that were deleted."""
    write(tmp_path / "store" / "notes" / "a.parquet")
    write(tmp_path / "store" / "notes" / "y=1" / "b.parquet")
    (tmp_path / "store" / "notes" / "_delta_log").mkdir()
    (tmp_path / "store" / "notes" / "_delta_log" / "00000000000000000000.json").write_text("{}")
    with pytest.raises(InputError, match=r"files of a Delta table \(of .*notes.*--input-format delta"):
        read_corpus(spark, NoteSource(path=f"{tmp_path}/{path}", recursive=recursive, format=format_))


def test_a_delta_table_beside_the_input_is_no_matter(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "notes" / "a.parquet")
    (tmp_path / "other" / "_delta_log").mkdir(parents=True)
    assert read_corpus(spark, NoteSource(path=str(tmp_path / "notes"))).records == 3


@pytest.mark.parametrize("beside", ["_common_metadata", "_metadata"])
def test_what_is_written_beside_the_files_does_not_say_their_columns(
    spark: SparkSession, tmp_path: Path, beside: str
) -> None:
    """Dask and pyarrow leave such files; they stay as they were where the others are written anew."""
    renamed = pa.schema([("note_id", pa.string()), ("note_text", pa.string())])
    write(tmp_path / "a.parquet", schema=renamed)
    pq.write_metadata(SCHEMA, tmp_path / beside)
    assert "no column text; it has note_id, note_text" in refused(spark, tmp_path)
    corpus = read_corpus(spark, NoteSource(path=str(tmp_path), text_column="note_text"))
    assert corpus.notes.filter("text is null").count() == 0


def test_a_footer_is_believed_for_its_schema_not_for_what_spark_once_wrote_there(
    spark: SparkSession, tmp_path: Path
) -> None:
    """pyarrow keeps Spark's own schema in the footer, whatever becomes of the columns."""
    spark.createDataFrame([("1", "Quackenbush")], ["note_id", "text"]).coalesce(1).write.parquet(str(tmp_path / "a"))
    (part,) = (tmp_path / "a").glob("*.parquet")
    table = pq.read_table(part)
    changed = table.drop_columns(["text"]).append_column("deid_text", pa.array(["x"]))
    assert b"org.apache.spark.sql.parquet.row.metadata" in changed.schema.metadata
    pq.write_table(changed, tmp_path / "b.parquet")
    assert "no column text; it has note_id, deid_text" in refused(spark, tmp_path / "b.parquet")
    corpus = read_corpus(spark, NoteSource(path=str(tmp_path / "b.parquet"), text_column="deid_text"))
    assert [row.text for row in corpus.notes.collect()] == ["x"]
