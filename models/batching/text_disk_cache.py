"""Text embeddings on disk, so that a restart does not pay for them again.

One append-only file a model: its name stands for all that decides a vector, so those of another model can
never be read. A record is a digest of the text (never the text itself), the vector and a checksum; a torn or
damaged record is skipped. What cannot be written is logged and done without: never a reason to fail.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import zlib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.pretrained.info import ModelInfo
from models.pretrained.tokenizer import Tokens

logger = logging.getLogger(__name__)

DIGEST_BYTES: Final = 16  # 128 bits of BLAKE2: no two texts in this universe share one
_CHECKSUM_BYTES: Final = 4
_PROBE: Final = "Two cafés, 3 DOGS &amp; a\u2028naïve “Übung” — 犬 don't_stop 🐕"
"""Its token ids tell tokenizers apart that treat case, accents, marks or other scripts differently."""


def digest(text: str) -> bytes:
    """What a text is known by, in memory and on disk."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).digest()


def model_key(info: ModelInfo, tokens: Tokens) -> str:
    """Stands for what decides a text's vector: weights, configuration, tokenizer, the code that runs them."""
    code = [_version(package) for package in ("open_clip_torch", "transformers", "tokenizers")]
    ids = tokens.encode([_PROBE]).tolist()  # (1, L)
    decides = [info.fingerprint, info.config, info.encoder, info.precision, info.embed_dim, ids, code]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:32]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # an installation without torch
        return None


class TextDiskCache:
    """The file of one model's text embeddings."""

    def __init__(self, folder: Path, *, key: str, dimension: int, max_bytes: int) -> None:
        """`key`: the `model_key` of the model whose vectors have this dimension."""
        self.path = folder / f"{key}.texts"
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
