"""`spark-submit pipelines/ner_notes.py`: `sparkclin ner` in the session of spark-submit."""

import sys

from sparkclin.commands.ner import main

if __name__ == "__main__":
    sys.exit(main(prog="spark-submit pipelines/ner_notes.py"))
