"""Text embeddings on disk, so that a restart does not pay for them again.

One append-only file a model: its name carries what decides a vector (weights, configuration, precision,
dimension), so those of another model can never be read. A record is a digest of the text (never the text
itself), the vector and a checksum; a torn or damaged record is skipped. What cannot be written is logged and
done without: the store is a convenience, never a reason to fail.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

DIGEST_BYTES = 16  # 128 bits of BLAKE2: no two texts in this universe share one
_CHECKSUM_BYTES = 4


def digest(text: str) -> bytes:
    """What a text is filed under, in memory and on disk."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).digest()


class TextStore:
    """The file of one model's text embeddings."""

    def __init__(
        self,
        folder: Path,
        *,
        fingerprint: str,
        config: str,
        precision: str,
        dimension: int,
        max_bytes: int,
    ) -> None:
        """`fingerprint` is of the weights, `config` of what else the text tower is made from."""
        self.path = folder / f"{fingerprint[:32]}-{config}-{precision}-{dimension}.texts"
        self._dimension = dimension
        self._record_bytes = DIGEST_BYTES + 4 * dimension + _CHECKSUM_BYTES
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._writable = True

    def read(self) -> Iterator[tuple[bytes, NDArray[np.float32]]]:
        """Every sound record: (digest, vector (D,)). The newest of a file that has outgrown its bound."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("text embeddings cannot be read from %s: %s", self.path, error.strerror)
            return
        sound = len(data) - len(data) % self._record_bytes
        oldest = max(0, sound - self._max_bytes // self._record_bytes * self._record_bytes)
        view = memoryview(data)
        for start in range(oldest, sound, self._record_bytes):
            body = view[start : start + self._record_bytes - _CHECKSUM_BYTES]
            checksum = view[start + len(body) : start + self._record_bytes]
            if zlib.crc32(body) == int.from_bytes(checksum, "little"):
                yield bytes(body[:DIGEST_BYTES]), np.frombuffer(body[DIGEST_BYTES:], dtype="<f4").copy()

    def append(self, records: Iterable[tuple[bytes, NDArray[np.float32]]]) -> None:
        """Add records in one write. Stops writing for good when the disk refuses or the file is full."""
        if not self._writable:
            return
        block = b"".join(_record(key, vector) for key, vector in records)
        with self._lock:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("ab") as file:
                    torn = file.tell() % self._record_bytes
                    if torn:  # an interrupted write: cut it off, or every later record would be misread
                        file.truncate(file.tell() - torn)
                    if file.tell() + len(block) > self._max_bytes:
                        self._writable = False
                        logger.info("%s is full (%d bytes): no more texts are kept", self.path, file.tell())
                        return
                    file.write(block)
            except OSError as error:
                self._writable = False
                logger.warning("text embeddings cannot be kept in %s: %s", self.path, error.strerror)


def _record(key: bytes, vector: NDArray[np.float32]) -> bytes:
    body = key + vector.astype("<f4").tobytes()
    return body + zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "little")
