"""Files on the local disk and on every file system that Spark reads: is it there, list, read, hash, write whole,
rename.

A location is a local path (`/data/x`, `x`, `file:///data/x`) or a URL (`s3a://bucket/x`, `hdfs://name/x`, `dbfs:/x`).
Local paths need no Spark session. URLs go through Hadoop's file systems in the JVM of the running session, so they work
wherever Spark reads and writes; without a session they raise SetupError.

What cannot be read or written raises OSError, as Python's own functions do: FileNotFoundError where nothing is there.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sparkclin.errors import OptionError, SetupError, masked
from sparkclin.hashing import sha256_of_file
from sparkclin.spark.session import running_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EVERYBODY_READS = 0o644
OWNER_ONLY = 0o600
OWNERS_FOLDER = 0o700

_STATUS = re.compile(
    r"\w*\{path=(.*); isDirectory=(true|false);(?: length=(\d+);)?(?:.*?; modification_time=(\d+);)?", flags=re.DOTALL
)
"""How Hadoop shows a file's status. A name may hold the same words; the last ones are not the name's."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file or a folder; `path` is a URL in which nothing is percent-encoded. Of a file `size` is its bytes, and
    `changed` when its content was last changed, in ms since 1970."""

    path: str
    is_folder: bool = False
    size: int = 0
    changed: int = 0


@dataclass(frozen=True)
class FileState:
    """By which a file that was changed is told: its bytes, and when it was last changed, in the file system's unit."""

    size: int
    changed: int


def is_remote(location: str) -> bool:
    """Whether `location` is the URL of a file system other than the local disk."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/", location)
    return scheme is not None and scheme[1].lower() != "file"


def is_disk(location: str) -> bool:
    """Whether `location` says itself that it is on the local disk, as `file:/x` does."""
    return location.lower().startswith("file:/")


def local_path(location: str) -> Path:
    """The path on the local disk that a location means which is not remote. Raises OptionError for a file of another
    machine: `file://HOST/x` is one, and `file://localhost/x` is this one's `/x`."""
    host = re.match(r"file://([^/]+)", location, flags=re.IGNORECASE)
    if host is None:
        return Path(re.sub(r"^file:/+", "/", location, flags=re.IGNORECASE))
    if host[1].lower() != "localhost":
        raise OptionError(
            f"{location} names a file of the machine {host[1]}, which cannot be reached this way. For one of this "
            "machine's disk write three slashes, as in file:///data/notes."
        )
    return Path("/" + location[host.end() :].lstrip("/"))


def as_url(location: str) -> str:
    """`location` as Spark takes it: a bare path would mean the cluster's default file system.

    Nothing is percent-encoded, because Hadoop decodes nothing. The folder of a local path is the one that this machine
    finds, without links and without `..`: Hadoop takes the name before `..` away without looking where a link leads.
    The last name stays, even if it is a link's.
    """
    return location if is_remote(location) else f"file:///{_without_links(local_path(location)).lstrip('/')}"


def _without_links(path: Path) -> str:
    if path.name in ("", ".."):
        return os.path.realpath(path)
    return str(Path(os.path.realpath(path.parent)) / path.name)


def as_spark_means(spark: SparkSession, path: str) -> str:
    """A path that a user gives to Spark as a location: a bare one is on the cluster's default file system.

    Raises OSError where Spark knows no such file system.
    """
    if is_disk(path) or (not is_remote(path) and is_disk(str(_configuration(spark).get("fs.defaultFS")))):
        return as_url(path)
    with _as_os_errors(path):
        found: Any = _hadoop_path(spark, path)
        return str(found.getFileSystem(_configuration(spark)).makeQualified(found).toString())


def exists(location: str) -> bool:
    """Whether a file or a folder is there; raises OSError where that cannot be told."""
    if not is_remote(location):
        return local_path(location).exists()
    with _hadoop_file(location) as file:
        return bool(file.system.exists(file.path))


def is_taken(location: str) -> bool:
    """Whether anything has the name, as a link to nowhere has; raises OSError where that cannot be told."""
    return exists(location) or (not is_remote(location) and os.path.lexists(local_path(location)))


def is_within(location: str, folder: str) -> bool:
    """Whether `location` is `folder` or below it, wherever the links of local paths lead; both as as_url() gives."""
    inner, outer = (path if is_remote(path) else os.path.realpath(local_path(path)) for path in (location, folder))
    return f"{inner.rstrip('/')}/".startswith(f"{outer.rstrip('/')}/")


def checked_file(path: str) -> str | None:
    """The file that Hadoop keeps checksums of in a file of this name: `x/a` for `x/.a.crc`; None for other names."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name[1:-4]}" if re.fullmatch(r"\..+\.crc", name, flags=re.DOTALL) else None


def encoding_of_names(spark: SparkSession) -> str:
    """In which Java decodes paths of the local disk."""
    jvm: Any = spark._jvm
    return str(jvm.java.lang.System.getProperty("sun.jnu.encoding"))


def has_name(encoding: str, path: str) -> bool:
    """Whether a path can be decoded in it: Java opens no other, and lists none."""
    try:
        path.encode("utf-8").decode("utf-8").encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def list_names(location: str) -> list[str]:
    """The names of the files and folders right below a folder, in order."""
    if not is_remote(location):
        return sorted(path.name for path in local_path(location).iterdir())
    with _hadoop_file(location) as file:
        return sorted(str(status.getPath().getName()) for status in file.system.listStatus(file.path))


def entry_at(location: str) -> Entry:
    """What is there; raises OSError where that cannot be told, and where it is neither a file nor a folder."""
    if is_remote(location):
        with _hadoop_file(location) as file:
            return _entry_of(file.system.getFileStatus(file.path))
    path = local_path(location)
    return _local_entry(as_url(location), path.stat())


def files_below(folder: str) -> Iterator[Entry]:
    """All files in a folder and in the folders in it, in order.

    Raises OSError where something cannot be looked into, and for what is neither a file nor a folder.
    """
    if not is_remote(folder):
        yield from _local_files(local_path(folder).absolute())
        return
    with _hadoop_file(folder) as file:  # one call for all: each takes its time
        statuses = file.jvm.org.apache.hadoop.util.functional.RemoteIterators.toList(
            file.system.listFiles(file.path, True)
        )
        if file.system.getScheme() == "viewfs":
            entries = list(map(_entry_of, statuses))
        else:
            shown = str(file.jvm.org.apache.commons.lang3.StringUtils.join(statuses, "\0"))
            entries = list(map(_entry, filter(None, shown.split("\0"))))
    yield from sorted(entries, key=lambda entry: entry.path)


def matching(spark: SparkSession, pattern: str) -> list[Entry]:
    """What Hadoop's glob `pattern` matches, in order, on any file system; raises OSError where that cannot be told."""
    with _as_os_errors(pattern):
        path = _hadoop_path(spark, pattern)
        found: Any = path.getFileSystem(_configuration(spark)).globStatus(path)
        return sorted(map(_entry_of, found or ()), key=lambda entry: entry.path)


def would_match(spark: SparkSession, pattern: str, location: str) -> bool:
    """Whether Hadoop's glob matches a location, or a folder above it, once that is there."""
    jvm: Any = spark._jvm
    hadoop = jvm.org.apache.hadoop.fs
    if _root_of(pattern) != _root_of(location):
        return False
    names = _names_of(location)
    with _as_os_errors(pattern):
        for one in hadoop.GlobExpander.expand(pattern):
            parts = _names_of(str(one))
            pairs = zip(parts, names, strict=False)
            if len(parts) <= len(names) and all(hadoop.GlobFilter(a).accept(hadoop.Path("/", b)) for a, b in pairs):
                return True
    return False


def _root_of(location: str) -> str:
    """The scheme and authority of a URL; "" for the local disk."""
    found = re.match(r"[^:/]+://[^/]*", location) if is_remote(location) else None
    return found[0] if found else ""


def _names_of(location: str) -> list[str]:
    path = location.removeprefix(_root_of(location)) if is_remote(location) else re.sub("^file:", "", location)
    return [name for name in path.split("/") if name]


def _local_files(folder: Path) -> Iterator[Entry]:
    with os.scandir(folder) as found:
        below = sorted(found, key=lambda entry: entry.name)
    for item in below:
        entry = _local_entry(f"file://{item.path}", item.stat())
        if entry.is_folder:
            yield from _local_files(Path(item.path))
        else:
            yield entry


def _local_entry(url: str, found: os.stat_result) -> Entry:
    if stat.S_ISDIR(found.st_mode):
        return Entry(path=url, is_folder=True)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{local_path(url)} is neither a file nor a folder")
    return Entry(path=url, size=found.st_size, changed=found.st_mtime_ns // 1_000_000)


def _entry_of(status: Any) -> Entry:
    """Return the entry of a FileStatus."""
    path = str(status.getPath().toString())
    if status.isDirectory():
        return Entry(path=path, is_folder=True)
    return Entry(path=path, size=int(status.getLen()), changed=int(status.getModificationTime()))


def _entry(status: str) -> Entry:
    """Return the entry of a file's status as Hadoop prints it; viewfs prints neither length nor time."""
    found = _STATUS.match(status)
    if found is None:
        raise OSError("the file system shows its files in a way that is not known")
    is_folder = found[2] == "true"
    return Entry(path=found[1], is_folder=is_folder, size=int(found[3] or 0), changed=int(found[4] or 0))


def size_of(location: str) -> int:
    """The bytes of a file, or of all files below a folder."""
    if is_remote(location):
        with _hadoop_file(location) as file:
            return int(file.system.getContentSummary(file.path).getLength())
    path = local_path(location)
    if path.is_dir():
        return sum(below.stat().st_size for below in path.rglob("*") if below.is_file())
    return path.stat().st_size


def free_bytes(location: str) -> int:
    """How much the file system takes that a folder is on; a very large number where it does not say."""
    if not is_remote(location):
        return shutil.disk_usage(local_path(location)).free
    with _hadoop_file(location) as file:
        return int(file.system.getStatus(file.path).getRemaining())


def make_folder(location: str) -> None:
    """Make a folder that only its owner reads, and those above it that are missing."""
    if not is_remote(location):
        path = local_path(location)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=OWNERS_FOLDER)
        return
    with _hadoop_file(location) as file:
        if not file.system.mkdirs(file.path, file.permission(OWNERS_FOLDER)):
            raise OSError(f"{location} could not be made")


def rename(location: str, new: str) -> None:
    """Give a file or folder another name on the same file system; raises OSError where that one is taken."""
    if not is_remote(location):
        if os.path.lexists(local_path(new)):
            raise FileExistsError(f"{new} is there already")
        local_path(location).rename(local_path(new))
        return
    with _hadoop_file(location) as file:
        hadoop = file.jvm.org.apache.hadoop.fs
        none = file.jvm.java.lang.reflect.Array.newInstance(
            file.jvm.java.lang.Class.forName("org.apache.hadoop.fs.Options$Rename"), 0
        )
        context = hadoop.FileContext.getFileContext(file.path.toUri(), file.configuration)
        context.rename(file.path, hadoop.Path(new), none)


def delete(location: str) -> None:
    """Remove a file, or a folder with all that is in it."""
    if is_remote(location):
        with _hadoop_file(location) as file:
            file.system.delete(file.path, True)
        return
    path = local_path(location)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def states_below(location: str | Path) -> dict[str, FileState]:
    """Every file below a folder, by its path relative to it. What is no folder counts as a file; links to folders are
    not followed."""
    if not is_remote(str(location)):
        root = local_path(str(location))
        files = (path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
        return {path.relative_to(root).as_posix(): _state_of(path) for path in files}
    with _hadoop_file(str(location)) as file:
        root_url, found = file.system.getFileStatus(file.path).getPath().toUri(), {}
        files = file.system.listFiles(file.path, True)
        while files.hasNext():
            status = files.next()
            name = root_url.relativize(status.getPath().toUri()).getPath()
            found[str(name)] = FileState(int(status.getLen()), int(status.getModificationTime()))
    return found


def _state_of(path: Path) -> FileState:
    """When its content or what the file system says of it was last changed: that time cannot be set, as the one of the
    content can. Of a link it is that of what it links to, if there is such."""
    state = path.stat() if path.exists() else path.lstat()
    return FileState(state.st_size, state.st_ctime_ns)


def sha256_of(location: str | Path) -> str:
    """SHA-256 of a file's bytes, in hex digits. A remote file is read by the JVM."""
    if not is_remote(str(location)):
        path = local_path(str(location))
        if not path.is_file():
            raise FileNotFoundError(f"{path} is no file")
        return sha256_of_file(path)
    with _hadoop_file(str(location)) as file:
        stream = file.system.open(file.path)
        try:
            return str(file.jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))
        finally:
            stream.close()


def read_text(location: str) -> str:
    """The text (UTF-8) of a file, byte for byte: line breaks stay as they are. Raises UnicodeDecodeError for others."""
    if not is_remote(location):
        return local_path(location).read_bytes().decode("utf-8")
    with _hadoop_file(location) as file:
        stream = file.system.open(file.path)
        try:
            content: bytes = file.jvm.org.apache.commons.io.IOUtils.toByteArray(stream)
        finally:
            stream.close()
    return content.decode("utf-8")


def write_text(location: str | Path, text: str, *, mode: int = EVERYBODY_READS) -> None:
    """Give the file at `location` the content `text` (UTF-8): a reader sees the old content or the new, never a part.

    The text goes to a sibling, which then takes the file's name. `mode` holds before there is any content, on file
    systems that have permissions; object stores pass over it. A local folder must be there.
    """
    if is_remote(str(location)):
        with _hadoop_file(str(location)) as file:
            file.write_whole(text.encode("utf-8"), mode=mode)
    else:
        _write_local(local_path(str(location)), text, mode=mode)


def create_text(location: str, text: str) -> None:
    """Create a file with the content `text` (UTF-8); raises OSError if it exists. A reader may find a part of it."""
    if not is_remote(location):
        with local_path(location).open("x", encoding="utf-8") as stream:
            stream.write(text)
        return
    with _hadoop_file(location) as file:
        file.write(text.encode("utf-8"), overwrite=False)


def refresh(location: str) -> None:
    """Set the time of a file's last change to the present, by the file system's clock; raises FileNotFoundError if the
    file does not exist.

    Object stores cannot set that time, so a remote file is written again, in one request.
    """
    if not is_remote(location):
        os.utime(local_path(location))
        return
    content = read_text(location).encode("utf-8")
    with _hadoop_file(location) as file:
        file.write(content, overwrite=True)


def _write_local(path: Path, text: str, *, mode: int) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # the owner's only, until chmod
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class _HadoopFile:
    """A path and its file system in the JVM; what goes wrong there is raised by py4j."""

    def __init__(self, spark: SparkSession, location: str) -> None:
        self.jvm: Any = spark._jvm
        self.configuration = _configuration(spark)
        self.path = _hadoop_path(spark, location)
        self.system = self.path.getFileSystem(self.configuration)

    def permission(self, mode: int) -> Any:
        return self.jvm.org.apache.hadoop.fs.permission.FsPermission(f"{mode:o}")

    def write(self, content: bytes, *, overwrite: bool) -> None:
        stream = self.system.create(self.path, overwrite)
        try:
            stream.write(bytearray(content))
        finally:
            stream.close()

    def write_whole(self, content: bytes, *, mode: int) -> None:
        sibling = self.jvm.org.apache.hadoop.fs.Path(self.path.getParent(), f".{self.path.getName()}.{uuid4().hex}")
        try:
            stream = self.system.create(sibling, False)
            try:
                self.system.setPermission(sibling, self.permission(mode))
                stream.write(bytearray(content))
            finally:
                stream.close()
            self._rename_over(sibling)
        except BaseException:
            with suppress(Exception):
                self.system.delete(sibling, False)
            raise

    def _rename_over(self, sibling: Any) -> None:
        """Give the sibling the file's name."""
        if self.system.exists(self.path) and self._replaced(sibling):
            return
        if not self.system.rename(sibling, self.path):
            raise OSError(f"{sibling.toString()} could not be renamed to {self.path.getName()}")

    def _replaced(self, sibling: Any) -> bool:
        """Whether the file system could put the sibling in the file's place in one step; if not, the file is gone."""
        from py4j.protocol import Py4JJavaError

        hadoop = self.jvm.org.apache.hadoop.fs
        option = self.jvm.java.lang.Class.forName("org.apache.hadoop.fs.Options$Rename")
        overwrite = self.jvm.java.lang.reflect.Array.newInstance(option, 1)
        overwrite[0] = getattr(hadoop, "Options$Rename").OVERWRITE
        try:
            context = hadoop.FileContext.getFileContext(self.path.toUri(), self.configuration)
        except Py4JJavaError as error:
            if error.java_exception.getClass().getSimpleName() != "UnsupportedFileSystemException":
                raise
            self.system.delete(self.path, False)
            return False
        context.rename(sibling, self.path, overwrite)
        return True


@contextmanager
def _hadoop_file(location: str) -> Iterator[_HadoopFile]:
    """A file of a URL; errors of the JVM leave as OSError. Raises SetupError where no Spark session runs."""
    spark = running_session()
    if spark is None:
        raise SetupError(f"{location} is reached through Spark. Start a session first: sparkclin.spark_session()")
    with _as_os_errors(location):
        yield _HadoopFile(spark, location)


@contextmanager
def _as_os_errors(location: str) -> Iterator[None]:
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except Py4JJavaError as error:
        java: Any = error.java_exception
        name, message = java.getClass().getSimpleName(), str(java.getMessage()).partition("\n")[0]
        kind = FileNotFoundError if name == "FileNotFoundException" else OSError
        raise kind(masked(f"{location}: {name}: {message}")) from None
    except PySparkException as error:  # what PySpark makes of some of Java's own exceptions
        raise OSError(masked(f"{location}: {str(error).partition(chr(10))[0]}")) from None


def _hadoop_path(spark: SparkSession, path: str) -> Any:
    jvm: Any = spark._jvm
    return jvm.org.apache.hadoop.fs.Path(path)


def _configuration(spark: SparkSession) -> Any:
    jsc: Any = spark._jsc
    return jsc.hadoopConfiguration()
