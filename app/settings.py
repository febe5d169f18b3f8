"""Every setting of the service, read from `CANDID_*` once and frozen. Units are in the names.

docs/operations.md lists them; a test compares the two. Knows no other room of the house.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIB = 1 << 20
PREFIX = "CANDID_"
DEFAULT_PORT = 8000
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _listed(value: Any) -> Any:
    """A list from an environment variable: JSON, or values between commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def _port(value: Any) -> Any:
    """Kubernetes sets CANDID_PORT=tcp://10.0.0.7:8000 beside a Service named "candid"; that is no setting."""
    return DEFAULT_PORT if isinstance(value, str) and value.startswith("tcp://") else value


Listed = NoDecode, BeforeValidator(_listed)
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], *Listed]
Format = Literal["huggingface", "openai", "kserve", "immich", "roboflow"]
Formats = Annotated[tuple[Format, ...], *Listed]
Keys = Annotated[tuple[Annotated[SecretStr, Field(min_length=8)], ...], *Listed]


class Settings(BaseSettings):
    """Limits, addresses and choices of one running service."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", protected_namespaces=()
    )

    # What answers
    model: str = Field(
        "embedded",
        min_length=1,
        description="The model that answers when a request names none: `embedded`, `architecture/tag` of "
        "open_clip, `hf-hub:org/name`, or a local directory.",
    )
    models: Names = Field((), description="Several models, loaded side by side; requests choose by name.")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="`auto` (cuda, else mps, else cpu), `cpu`, `mps`, `cuda` or `cuda:1`.",
    )
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        "auto", description="`auto` (half on a GPU), `fp32`, `fp16` or `bf16`."
    )
    encoder: Literal["auto", "torch", "openvino"] = Field(
        "auto",
        description="What runs the towers: `auto` (OpenVINO on a CPU where it is installed, else torch), "
        "`torch` or `openvino`.",
    )
    encoder_dir: str | None = Field(
        None,
        description="Where what OpenVINO makes of a model's weights is kept; unset: `candid/encoders` in the "
        "user's cache directory (`~/.cache`).",
    )
    cache_dir: str | None = Field(
        None, description="Where downloaded weights are kept; unset: where huggingface_hub keeps them."
    )
    # Where it listens, and for whom
    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` for every interface.")
    port: Annotated[int, BeforeValidator(_port)] = Field(
        DEFAULT_PORT, ge=0, le=65535, description="Port to listen on; 0 takes a free one and logs it."
    )
    api_keys: Keys = Field(
        (),
        description="When set, `/v1/…` and the other programs' formats want one as "
        "`Authorization: Bearer …`; 8 characters or more.",
    )
    cors_origins: Names = Field(
        (), description="Origins whose pages may call the service from a browser, or `*`; none by default."
    )
    allowed_hosts: Names = Field(
        (),
        description="Names by which the service may be called (`Host`) beside its addresses, `*.example.org` "
        "for all below one, or `*`; unset: on a loopback address `localhost` and loopback addresses only, "
        "elsewhere any.",
    )
    docs: bool = Field(True, description="Serve `/docs` and `/openapi.json`.")
    page: bool = Field(True, description="Serve the page at `/`.")
    compat: Formats = Field(
        get_args(Format),
        description="Other programs' wire formats to speak, of `huggingface`, `openai` (pictures in "
        "`/v1/embeddings`), `kserve`, `immich` and `roboflow`; `[]` for none.",
    )
    # What one request may ask
    max_body_bytes: int = Field(64 * MIB, ge=1024, description="Largest request body.")
    max_images: int = Field(64, ge=1, le=10_000, description="Most pictures in one request.")
    max_image_bytes: int = Field(32 * MIB, ge=1024, description="Largest picture as sent.")
    max_pixels: int = Field(50_000_000, ge=1, description="Largest picture when decoded, width × height.")
    max_labels: int = Field(10_000, ge=1, le=1_000_000, description="Most labels, or texts, in one request.")
    max_label_chars: int = Field(300, ge=1, description="Longest label, in characters.")
    max_text_chars: int = Field(
        4_000,
        ge=1,
        description="Longest text of `/v1/embeddings`, in characters; models read the first 77 or so tokens.",
    )
    # How much at once, and for how long
    max_slots: int = Field(64, ge=1, description="Requests worked on at once; the next one gets a 503.")
    max_buffer_bytes: int = Field(
        512 * MIB,
        ge=1024,
        description="Bodies and unsent answers held at once, all requests together; beyond it the largest "
        "body that is not whole gets a 503.",
    )
    request_timeout_s: float = Field(
        30.0, gt=0, description="Time for the work of one request, counted from its slot; then 504."
    )
    receipt_timeout_s: float = Field(
        30.0, gt=0, description="Time for a connection to send a whole request; then 408 and it is closed."
    )
    send_timeout_s: float = Field(
        10.0,
        gt=0,
        description="Time for a caller to take 4 KiB of its answer for each second of it, or what is left; "
        "then the connection is cut.",
    )
    keep_alive_timeout_s: int = Field(
        20, ge=1, description="How long an idle connection stays open between requests."
    )
    shutdown_timeout_s: int = Field(
        30, ge=1, description="Time for requests under way to finish after SIGTERM; then they are cut off."
    )
    # How the work is done
    workers: int = Field(
        1,
        ge=1,
        le=256,
        description="Processes that speak HTTP and read pictures, beside one that has the models; 1: all in "
        "one process. Slots, buffer and picture cache are divided among them.",
    )
    decode_threads: int = Field(0, ge=0, le=256, description="Threads that decode pictures; 0: one a core.")
    max_batch: int = Field(32, ge=1, le=4096, description="Most pictures encoded in one forward pass.")
    max_queue: int = Field(1024, ge=1, description="Pictures that may wait for the encoder; beyond it: 503.")
    text_cache_bytes: int = Field(256 * MIB, ge=0, description="Embeddings of prompts kept for each model.")
    text_store_dir: str | None = Field(
        None,
        description="Where embeddings of prompts outlive a restart, filed by digest, never by text; unset: "
        "`candid/texts` in the user's cache directory (`~/.cache`). Nothing is kept when "
        "`CANDID_TEXT_CACHE_BYTES` is 0.",
    )
    warm_vocabularies: bool = Field(
        True,
        description="Encode the words of the vocabularies in the background after the start; else when they "
        "are first asked for.",
    )
    image_cache_bytes: int = Field(
        64 * MIB,
        ge=0,
        description="Embeddings of pictures kept for each model by the service; the command line keeps none.",
    )
    exact_decode: bool = Field(
        False, description="Decode JPEGs at full size, as open_clip does: slower, the same to three digits."
    )
    # Label sets
    database_url: str | None = Field(
        None,
        description="Where label sets are kept: `sqlite:////folder/file.db` or `postgresql://user@host/name`"
        "; unset: a SQLite file, `candid/candid.db` in the user's data directory (`~/.local/share`).",
    )
    max_label_sets: int = Field(1_000, ge=1, description="Most label sets.")
    max_examples: int = Field(10_000, ge=1, description="Most examples of one label set.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="`debug`, `info`, `warning` or `error`; one JSON line a request at `info`."
    )

    @model_validator(mode="after")
    def _limits_fit_together(self) -> Settings:
        if self.max_buffer_bytes < self.max_body_bytes:
            raise ValueError("max_buffer_bytes must be at least max_body_bytes: not even one body would fit")
        return self

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which the service may be called; `*` is any."""
        if self.allowed_hosts:
            return self.allowed_hosts
        loopback = self.host in LOOPBACK or self.host.startswith("127.")
        return (*LOOPBACK, "[::1]", "*.localhost", self.host) if loopback else ("*",)

    @property
    def specs(self) -> tuple[str, ...]:
        """The models to load, each once; the first is the default."""
        first = (self.model,) if "model" in self.model_fields_set or not self.models else ()
        return tuple(dict.fromkeys((*first, *self.models)))


def unknown_names(environment: Iterable[str]) -> dict[str, str | None]:
    """`CANDID_*` variables that are no setting (a typing error is not silent), and what was likely meant."""
    known = {name.upper() for name in Settings.model_fields}
    given = {name.removeprefix(PREFIX) for name in environment if name.startswith(PREFIX)}
    # What Kubernetes sets for a Service named "candid" is nobody's typing error.
    unknown = {name for name in given - known if not re.match(r"SERVICE_|PORT_\d", name)}
    near = {name: difflib.get_close_matches(name, known, n=1) for name in sorted(unknown)}
    return {PREFIX + name: PREFIX + match[0] if match else None for name, match in near.items()}
