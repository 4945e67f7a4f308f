"""What to do about an error whose sentence does not say it, by a part of the sentence."""

HELP = {
    "is a model for the task": "Choose another model with `--model`; `sparkclin models` lists each model with its "
    "task. Or export one from a checkpoint of the kind that the sentence names.",
    "it takes notes without a pair": "Use a model whose tokenizer has them, or leave out `--pair-column` and the "
    "question.",
    "more than the model reads": "Lower `--max-pieces`, or leave it out: the default is the most that the model reads.",
    "is not on the local disk": "For example with `hadoop fs -get`; then give the copy to `--models`.",
    "register in a local folder": "`sparkclin export --models` takes a local folder only. Copy it whole, "
    "`metadata.json` last.",
    "a bundle must be staged there": "This is an error in a program that calls `ModelRepository.register()`: stage "
    "the bundle in a folder of the repository.",
    "because it does not escape": "Name a folder without these characters with `--models`, or export and run the model "
    "with `--engine openvino`.",
    "is neither a SHA-256 of": "`sha256sum sparkclin.json`, in the model's folder, prints the hash. Give that, or the "
    "path of a file of such lines.",
    "is not a known one in which ASCII is as it is": "Give the name that Python has for the encoding. UTF-16 and "
    "UTF-32 cannot be read: convert the files to UTF-8 first.",
    "every note needs an id of its own": "Number the notes, or name another column with `--id-column`.",
    "a column of other texts was named": "Give `--question`, or a column of questions; a file of text has no columns, "
    "so with these give `--question`.",
    "the text that all notes are to be read with": "Give a question with words in it.",
    "--encoding is for": "Leave it out: Parquet and Delta tables hold their encoding, and JSON is UTF-8.",
    "--delimiter is for": "Leave it out, or say `--input-format csv` if the files are CSV.",
    "Delta Lake is not part of this Spark session": "`pip install 'sparkclin[delta]'` brings the Python package. The "
    "jar comes by the options that the sentence shows.",
    "notes was asked for: there is at least one": "Give `--page-notes 1` or more, or leave `--page` out.",
    "partitions were asked for": "Give `--partitions 1` or more, or leave it out.",
    "had none before: it is being changed": "Somebody writes the file while it is read. Wait until it is whole, and "
    "run again.",
    "is none that Spark knows": "Give one of these forms.",
    "is no size of memory": "Give a number and a unit: `m` or `g`.",
    "no folder for temporary files can be made": "The folder must exist, be yours to write to, and have room.",
    "questionCol goes with neither": "A question takes the part of the window where these would be. Make two "
    "tokenizers.",
    "'sentence' goes with level sentence": "Give `--level sentence`, or leave `--context` out.",
    "cls is a vector of a window": "Give `--context sentence`, so that each sentence is a window, or another "
    "`--pooling`.",
    "a window needs at least one piece": "Give a smaller `--stride`, or leave both out.",
    "a head has": "This is an error in a new head: a request can name only so many outputs.",
    "lacks the shards": "The download was not whole. Fetch the checkpoint again.",
    "names files outside the checkpoint": "Such an index could make an export read any file. Take the checkpoint from "
    "a source that you trust.",
    "does not hold the tensors that its config.json describes": "Each missing, surplus or misshapen tensor is listed.",
    "config.json cannot be exported": "What is listed is not supported, or is not what the model was trained with.",
    "other tensors": "The installed `transformers` builds another model than sparkclin expects. Install the pinned "
    "version: `pip install 'sparkclin[export]'`.",
    "that one ONNX graph can hold": "Export it for another engine.",
    "that one TensorFlow graph can hold": "Export it for another engine.",
    "differs from": "The report below the sentence says at which lengths and by which path. Copy or fetch "
    "the checkpoint again, and export it with the pinned version of `transformers`: `pip install 'sparkclin[export]'`.",
    "pip install 'sparkclin[export]'": "From a checkout: `pip install -c constraints.txt -e '.[export]'`.",
    "--first-note-nlp-id is for": "Add `--output-schema omop`, or leave it out.",
    "numbers cannot be compared": "Compare outputs of the same model at the same level, with the same pooling.",
    "is no table that can be read here": "Write the table as one of these kinds of files.",
    "in the table; it has": "The table of `--notes` needs a column `note_id`, with the ids of the run's notes.",
    "notes have a vector: a map needs": "Look at the statuses in the run's report: notes that could not be read have "
    "no vector.",
    "are no texts, but of the class": "Make them texts, or None where there is none, before you give them.",
    "here is the bundle itself": "Leave `models`, `language`, `engine` and `precision` out, or give `model` as a name.",
    "texts were given for": "Give as many texts as notes, in their order, or one text for all.",
    "so there is no width for rows of NaN": "Look why no note has a vector: their `status` says it.",
    "nor the path of a run's output": "Give what `sparkclin.embed()` returned, or the folder that a run wrote.",
    "they are not of one model and one pooling": "Take the rows of one `model_digest` and one `pooling`.",
    "read it by Spark, and give the DataFrame": "`spark.read.format('delta').load(path)`.",
    "is no run's vectors": "Give the output of `sparkclin embed`, or rename the columns.",
    "of them null: no vectors": "The column holds something else. Name the right column.",
    "nor a DataFrame of pandas or Spark with a column of them": "Give one of these.",
    "no column of vectors is named": "Name the right one with `column=`.",
    "cannot be read as Parquet": "Check the path, and that the run has ended.",
    "differ in engine, precision and notes only": "This is an error in a program that calls `convert_all()`: export "
    "each checkpoint by itself.",
    "; its columns are": "Name the right ones with the options that end in `-column`.",
    "cannot be read as JSON:": "Mend that line.",
    "as many dev questions": "Give a `--dev` file with more questions of these vocabularies, or fewer `--shots`.",
    "--shots is 0 or more": "Give such numbers, or leave them out.",
    "with the questions and answers to learn from": "Give the benchmark's dev file, or leave `--shots` out.",
    "in IOB2 an entity begins with": "Write `B-` where an entity begins. Files in IOB1 have to be converted.",
    "is it that of these notes": "Score the output for the notes that `sparkclin.evaluation.ner notes` made.",
    "notes need note_id and text": "Rename the columns of the file.",
    "questions have not one row of rank 0": "Score the output for the questions that "
    "`sparkclin.evaluation.qa notes` made, with one best answer each.",
    "Cannot compare these vectors": "The list says what is wrong with them.",
    "shows what it says": "The sentence begins with the class of the exception and the step, and says where in our "
    "code it was raised. The exception's own message is left out, because it may quote a note. If you are allowed to "
    "see the notes, run again with `--unsafe-debug`. If the place is in our code, report it, without the message.",
    "an executor was lost": "See [memory on a cluster](../how-to/clusters.md#memory).",
    "Java's memory was full": "See [memory on a cluster](../how-to/clusters.md#memory).",
}
