"""An S3 server on loopback, in the place of a hospital's object store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from moto.server import ThreadedMotoServer
from pyarrow.fs import S3FileSystem

from testkit.cluster import HOST


@dataclass(frozen=True)
class S3Server:
    """A running server at `url`. It takes any keys; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY say which."""

    url: str

    def file_system(self) -> S3FileSystem:
        """Paths are `bucket/key`."""
        address = urlsplit(self.url)
        return S3FileSystem(
            endpoint_override=address.netloc, scheme=address.scheme, region="us-east-1", allow_bucket_creation=True
        )


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """An empty server, ended on leaving."""
    server = ThreadedMotoServer(ip_address=HOST, port=0)  # port 0: the system picks a free one
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Server(url=f"http://{host}:{port}")
    finally:
        server.stop()
