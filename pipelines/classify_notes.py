"""`spark-submit pipelines/classify_notes.py`: `sparkclin classify` in the session of spark-submit."""

import sys

from sparkclin.commands.classify import main

if __name__ == "__main__":
    sys.exit(main(prog="spark-submit pipelines/classify_notes.py"))
