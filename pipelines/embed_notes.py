"""`spark-submit pipelines/embed_notes.py`: `sparkclin embed` in the session of spark-submit."""

import sys

from sparkclin.commands.embed import main

if __name__ == "__main__":
    sys.exit(main(prog="spark-submit pipelines/embed_notes.py"))
