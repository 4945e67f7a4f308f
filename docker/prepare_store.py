"""Make the bucket, put the sample notes in it, and take away what an earlier run wrote: the store is ready for a run.

`python prepare_store.py --endpoint http://store:8333 --bucket sparkclin`; the keys come from AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY.
"""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files
from urllib.parse import urlsplit

from pyarrow.fs import FileSelector, S3FileSystem

NOTES = "notes.jsonl"
VECTORS = "vectors"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--endpoint", required=True, metavar="URL", help="of the store")
    parser.add_argument("--bucket", required=True, metavar="NAME")
    options = parser.parse_args(arguments)

    address = urlsplit(options.endpoint)
    store = S3FileSystem(
        endpoint_override=address.netloc, scheme=address.scheme, region="us-east-1", allow_bucket_creation=True
    )
    store.create_dir(options.bucket)
    remove(store, f"{options.bucket}/{VECTORS}")
    with store.open_output_stream(f"{options.bucket}/{NOTES}") as stream:
        stream.write((files("sparkclin") / "demo" / NOTES).read_bytes())
    print(f"the sample notes are at s3a://{options.bucket}/{NOTES}")
    return 0


def remove(store: S3FileSystem, folder: str) -> None:
    """One object after the other: not every store takes the batched delete of delete_dir()."""
    below = store.get_file_info(FileSelector(folder, allow_not_found=True, recursive=True))
    for found in below:
        if found.is_file:
            store.delete_file(found.path)


if __name__ == "__main__":
    sys.exit(main())
