"""A small Hugging Face hub on loopback: real downloads through the real client, of models made here.

Repositories are folders; weights are randomly initialised models of true architectures, made when first asked
for. Only what huggingface_hub asks of a hub is answered: file metadata by HEAD, bytes by GET, a repository's
listing.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves `root/<organisation>/<name>/<file>`; `recipes` make a repository when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.recipes: dict[str, Callable[[Path], None]] = {}
        self.requests: list[str] = []
        self._lock = threading.Lock()
        self._digests: dict[Path, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def folder(self, repository: str) -> Path | None:
        """The repository's folder, made now if there is a recipe for it."""
        folder = self.root / repository
        with self._lock:
            if not folder.is_dir() and repository in self.recipes:
                folder.mkdir(parents=True)
                self.recipes[repository](folder)
        return folder if folder.is_dir() else None

    def digest(self, path: Path) -> str:
        if path not in self._digests:
            with path.open("rb") as file:
                self._digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._digests[path]

    def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_HEAD(self) -> None:
                self._answer(with_body=False)

            def do_GET(self) -> None:
                self._answer(with_body=True)

            def _answer(self, *, with_body: bool) -> None:
                path = self.path.partition("?")[0].strip("/")
                hub.requests.append(f"{self.command} {path}")
                if path.startswith("api/models/"):
                    self._listing(path.split("/"))
                    return
                repository, _, rest = path.partition("/resolve/")
                folder = hub.folder(repository)
                file = folder / rest.partition("/")[2] if folder else None
                if file is None or not file.is_file():
                    code = "EntryNotFound" if folder else "RepoNotFound"
                    self._send(404, b"not found", {"X-Error-Code": code, "X-Repo-Commit": COMMIT})
                    return
                digest = hub.digest(file)
                headers = {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
                if file.suffix == ".safetensors":  # as the hub does for large files
                    headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(file.stat().st_size)}
                self._send_file(file, headers, with_body=with_body)

            def _listing(self, parts: list[str]) -> None:
                folder = hub.folder("/".join(parts[2:4]))
                if folder is None:
                    self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
                    return
                files = [file.name for file in folder.iterdir()]
                if "tree" in parts:
                    body: Any = [{"type": "file", "path": name, "size": 1, "oid": COMMIT} for name in files]
                else:
                    siblings = [{"rfilename": name} for name in files]
                    body = {"id": "/".join(parts[2:4]), "sha": COMMIT, "siblings": siblings, "tags": []}
                self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

            def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def _send_file(self, file: Path, headers: dict[str, str], *, with_body: bool) -> None:
                self.send_response(200)
                for name, value in {**headers, "Content-Length": str(file.stat().st_size)}.items():
                    self.send_header(name, value)
                self.end_headers()
                if with_body:
                    with file.open("rb") as source:
                        while block := source.read(1 << 20):
                            self.wfile.write(block)

        return Handler


def random_model(architecture: str) -> Callable[[Path], None]:
    """A recipe: the architecture with random weights in half precision, as its repository would hold it."""

    def make(folder: Path) -> None:
        from open_clip import create_model, get_model_config
        from safetensors.torch import save_file

        with cheap_chance():
            model = create_model(architecture, pretrained_text=False, load_weights=False)
        # Half the bytes to write, hash and read; both sides of a comparison read the same file.
        state = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
        save_file(state, str(folder / "open_clip_model.safetensors"))
        config = {"model_cfg": get_model_config(architecture), "preprocess_cfg": {}}
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        hf_name = config["model_cfg"]["text_cfg"].get("hf_tokenizer_name")
        if hf_name:
            small_tokenizer(folder)

    return make


def cheap_chance() -> AbstractContextManager[Any]:
    """A million random numbers over and over, by a tensor's fan-in: drawing 375 million takes 7 s.

    Each tensor begins elsewhere in them: OpenVINO takes a square matrix that a graph has twice, once
    transposed, for one.
    """
    import torch

    from models.encoders.build import RANDOM_FILLS, WeightsFollow

    drawn = torch.randn(1_000_003, generator=torch.Generator().manual_seed(0))  # a prime: no two rows alike

    class Cheap(WeightsFollow):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = super().__torch_function__(function, types, args, kwargs)
            if function in RANDOM_FILLS:
                drawn[:] = drawn.roll(1)
                for part in result.detach().view(-1).split(len(drawn)):
                    part.copy_(drawn[: len(part)]).mul_((result.numel() // len(result)) ** -0.5)
            return result

    return Cheap()


def small_tokenizer(folder: Path) -> None:
    """A word-level tokenizer of a few words: SigLIP2's own cannot be had here, its wrapper can."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ("a", "photo", "of", "the", "cat", "dog", "coffee", "cup", "astronaut", "rocket", "red", ".")
    vocabulary = {word: i for i, word in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", unk_token="<unk>"
    )
    fast.save_pretrained(str(folder))
    (folder / "config.json").write_text(json.dumps({"model_type": "siglip"}))
