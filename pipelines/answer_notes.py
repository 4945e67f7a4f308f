"""`spark-submit pipelines/answer_notes.py`: `sparkclin answer` in the session of spark-submit."""

import sys

from sparkclin.commands.answer import main

if __name__ == "__main__":
    sys.exit(main(prog="spark-submit pipelines/answer_notes.py"))
