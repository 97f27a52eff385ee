"""Copies a folder in one pass, and computes the checksum of its contents meanwhile.

The checksum covers the names of all files and folders, and the bytes of all files: a file that was truncated, changed,
added or removed gives another one. It finds damage by a disk or a power cut, not an attack: CRC-32.
"""

import os
import stat
import zlib
from io import FileIO
from pathlib import Path

from .privileges import User

# Bytes. A cluster's largest files have a few hundred kilobytes, but those of its log 16 megabytes.
CHUNK = 2**20


def copy_tree(source: Path, target: Path, user: User | None) -> str:
    """Copy `source` into `target`, an empty folder, readable only by `user` (None: the current user).

    In one pass, since a cluster has 1,300 small files: `shutil.copytree` followed by chmod and chown took twice as
    long. Of the hashes in the standard library, CRC-32 is the fastest: 39 MB take 11 ms, and SHA-256 22 ms.

    Returns:
        The checksum of the contents of `source`.

    Raises:
        OSError: a file cannot be read or written, or is neither a file nor a folder.
    """
    if source.is_symlink():
        raise OSError(f"{source} is a symlink")
    checksum = 0
    for folder, folders, files in os.walk(source, onerror=_raise):
        # The order of the file system may differ from one copy to the next.
        folders.sort()
        relative = Path(folder).relative_to(source)
        copies = target / relative
        for name in folders:
            if Path(folder, name).is_symlink():
                raise OSError(f"{Path(folder, name)} is a symlink")
            checksum = zlib.crc32(f"{relative / name}/".encode(), checksum)
            (copies / name).mkdir(mode=0o700)
            if user is not None:
                os.chown(copies / name, user.uid, user.gid)
        # Paths of files are text: as objects, they took half of the time.
        inside = "" if folder == str(source) else f"{relative}/"
        for name in sorted(files):
            with open_regular(f"{folder}/{name}") as read, _private(f"{copies}/{name}") as written:
                if user is not None:
                    os.fchown(written.fileno(), user.uid, user.gid)
                # With its size, so that the end of a file cannot be taken for the start of the next.
                size = os.fstat(read.fileno()).st_size
                checksum = zlib.crc32(f"{inside}{name}:{size}:".encode(), checksum)
                while chunk := read.read(min(size + 1, CHUNK)):
                    checksum = zlib.crc32(chunk, checksum)
                    written.write(chunk)
    return f"{checksum:08x}"


def open_regular(path: Path | str) -> FileIO:
    """A file, open for reading; raises `OSError` for a pipe, whose opening would wait, and for a symlink."""
    file = FileIO(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{path} is not a regular file")
    return file


def _raise(error: OSError) -> None:
    raise error


def _private(path: str) -> FileIO:
    return FileIO(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
