"""Other programs' wire formats: thin translations onto the calls that the service's own routes make.

Each is one file, switched by its name in CANDID_COMPAT and described, with client code, in
docs/compatibility.md. They are not in the OpenAPI description: other people's specifications describe them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter

from app.routes.compat.huggingface import router as huggingface
from app.routes.compat.immich import router as immich
from app.routes.compat.kserve import router as kserve
from app.routes.compat.roboflow import router as roboflow

ROUTERS: Final[Mapping[str, APIRouter]] = {
    "huggingface": huggingface,
    "openai": APIRouter(),  # pictures in /v1/embeddings, which reads the setting itself
    "kserve": kserve,
    "immich": immich,
    "roboflow": roboflow,
}
