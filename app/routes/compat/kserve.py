"""KServe's v2 protocol (Open Inference Protocol), as tritonclient and other inference clients speak it.

    IMAGE            -> IMAGE_EMBEDDING [n, D]
    TEXT             -> TEXT_EMBEDDING  [m, D]
    IMAGE and LABELS -> SIMILARITY and PROBABILITY [n, number of labels]; IMAGE_EMBEDDING when asked for

Pictures are files: as they are in the binary form, as base64 in JSON. `parameters.template` of a request is a
prompt template for LABELS. Models have one version, "1".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from fastapi import Request, Response
from numpy.typing import NDArray
from starlette.exceptions import HTTPException

from app import __version__
from app.http.buffer import reserve
from app.requests.body import offload, offload_many
from app.requests.limits import at_most, check_places
from app.requests.question import plain_question
from app.requests.uploads import (
    Upload,
    UploadedImage,
    UploadedText,
    check_counts,
    uploaded_image,
    uploaded_text,
)
from app.routes.compat.errors import router_with_errors_under
from app.routes.compat.kserve_tensors import Asked, answer, read
from app.routes.dependencies import KeyDep, RoomDep, Service, ServiceDep, readiness_of
from app.service.embedding import embed_uploads
from app.service.scorer import LabelSetScorer
from app.service.sizes import vectors_bytes
from app.settings import Settings
from models.errors import InvalidRequest

if TYPE_CHECKING:
    from models.classifier import Classifier

router = router_with_errors_under("error")

VERSION: Final = "1"
INPUTS: Final = ("IMAGE", "TEXT", "LABELS")
MODEL: Final = "/v2/models/{name:path}"
AT_VERSION: Final = "/v2/models/{name:path}/versions/{version}"

Outputs = dict[str, NDArray[np.float32]]


@router.get("/v2")
async def server() -> dict[str, Any]:
    """Which server this is."""
    return {"name": "candid", "version": __version__, "extensions": ["binary_tensor_data"]}


@router.get("/v2/health/live")
async def live() -> dict[str, bool]:
    """The process answers."""
    return {"live": True}


@router.get("/v2/health/ready")
async def ready(service: ServiceDep, response: Response) -> dict[str, bool]:
    """Every model would answer and the service is not draining."""
    readiness = await readiness_of(service)
    response.status_code = 200 if readiness.ready else 503
    return {"ready": readiness.ready}


# A model's name may hold slashes, so the more special paths come first: of two decorators, the lower one.
@router.get(f"{MODEL}/ready", dependencies=[KeyDep])
@router.get(f"{AT_VERSION}/ready", dependencies=[KeyDep])
async def model_ready(
    name: str, service: ServiceDep, response: Response, version: str = VERSION
) -> dict[str, Any]:
    """This model would answer and the service is not draining."""
    _model(service, name, version)
    readiness = await readiness_of(service)
    is_ready = readiness.models[name] and not readiness.draining
    response.status_code = 200 if is_ready else 503
    return {"name": name, "ready": is_ready}


@router.get(MODEL, dependencies=[KeyDep])
@router.get(AT_VERSION, dependencies=[KeyDep])
async def metadata(name: str, service: ServiceDep, version: str = VERSION) -> dict[str, Any]:
    """The model's tensors."""
    dim = _model(service, name, version).info.embed_dim
    shapes = {"SIMILARITY": -1, "PROBABILITY": -1, "IMAGE_EMBEDDING": dim, "TEXT_EMBEDDING": dim}
    return {
        "name": name,
        "versions": [VERSION],
        "platform": "candid",
        "inputs": [{"name": tensor, "datatype": "BYTES", "shape": [-1]} for tensor in INPUTS],
        "outputs": [
            {"name": tensor, "datatype": "FP32", "shape": [-1, size]} for tensor, size in shapes.items()
        ],
    }


@router.post(f"{MODEL}/infer", dependencies=[KeyDep, RoomDep])
@router.post(f"{AT_VERSION}/infer", dependencies=[KeyDep, RoomDep])
async def infer(name: str, request: Request, service: ServiceDep, version: str = VERSION) -> Response:
    """Embeddings of pictures and texts, or how well labels fit pictures."""
    classifier, settings = _model(service, name, version), service.settings
    asked = await read(request, INPUTS, most=max(settings.max_labels, settings.max_images))
    wanted = _wanted(asked)
    uploads = await offload(len(await request.body()), _uploads, asked, settings)
    labels = [_text(value, "inputs.LABELS") for value in asked.inputs.get("LABELS", ())]
    template = asked.inference.parameters.get("template")
    if not isinstance(template, str | None):
        raise InvalidRequest("parameters.template must be a text", field="parameters.template")
    question = None
    if "LABELS" in asked.inputs:
        question = plain_question(labels, template, "inputs.LABELS", settings)
        check_places(len(labels), len(uploads))
    dim = classifier.info.embed_dim
    reserve(request, vectors_bytes(len(uploads), dim + 2 * len(labels)))
    async with service.admission.slot(request) as slot:
        scorer = await service.scorers.scorer_for(classifier, question, slot.deadline) if question else None
        vectors = await embed_uploads(classifier, uploads, slot.deadline)
        size = len(uploads) * max(dim // 8, len(labels))
        outputs = await offload_many(size, _outputs, uploads, vectors, labels, scorer, slot.deadline)
        chosen = {output: outputs[output] for output in wanted}
        return await offload_many(size, answer, asked, name, VERSION, chosen)


def _model(service: Service, name: str, version: str) -> Classifier:
    if version != VERSION:
        raise HTTPException(404, f"models have one version, {VERSION!r}")
    return service.classifier(name)


def _wanted(asked: Asked) -> list[str]:
    """The outputs to give: those that are asked for, or else what the inputs are for."""
    given = asked.inputs.keys()
    if not given or ("LABELS" in given and "IMAGE" not in given):
        raise InvalidRequest("send IMAGE, TEXT, or IMAGE and LABELS", field="inputs")
    ranking = ["SIMILARITY", "PROBABILITY"] if "LABELS" in given else []
    embeddings = [f"{tensor}_EMBEDDING" for tensor in ("IMAGE", "TEXT") if tensor in given]
    usual = ranking + [name for name in embeddings if not ranking or name == "TEXT_EMBEDDING"]
    for output in asked.inference.outputs:
        if output.name not in ranking + embeddings:
            possible = ", ".join(ranking + embeddings)
            raise InvalidRequest(
                f"output {output.name[:80]!r}: these inputs have {possible}", field="outputs"
            )
        if output.parameters.keys() - {"binary_data"}:
            raise InvalidRequest(
                f"output {output.name}: of its parameters only binary_data is known", field="outputs"
            )
    return [output.name for output in asked.inference.outputs] or usual


def _uploads(asked: Asked, settings: Settings) -> list[Upload]:
    uploads: list[Upload] = []
    at_most(settings.max_images, asked.inputs.get("IMAGE", ()), "inputs", "max_images")
    for index, value in enumerate(asked.inputs.get("IMAGE", ())):
        field = f"inputs.IMAGE[{index}]"
        if isinstance(value, bytes):
            uploads.append(UploadedImage(field, value))
        else:
            uploads.append(uploaded_image(value, field, settings))
    for index, value in enumerate(asked.inputs.get("TEXT", ())):
        field = f"inputs.TEXT[{index}]"
        uploads.append(uploaded_text(_text(value, field), field, settings))
    if len({type(upload) for upload in uploads}) < len(asked.inputs.keys() & {"IMAGE", "TEXT"}):
        raise InvalidRequest("IMAGE and TEXT must have at least one element", field="inputs")
    check_counts(uploads, "inputs", settings)
    return uploads


def _text(value: str | bytes, field: str) -> str:
    try:
        return value if isinstance(value, str) else value.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{field} must be UTF-8", field=field) from None


def _outputs(
    uploads: Sequence[Upload],
    vectors: Sequence[NDArray[np.float32]],
    labels: Sequence[str],
    scorer: LabelSetScorer | None,
    deadline: float,
) -> Mapping[str, NDArray[np.float32]]:
    """Every output that these inputs have, by name."""
    found = list(zip(uploads, vectors, strict=True))
    images = [vector for upload, vector in found if isinstance(upload, UploadedImage)]
    texts = [vector for upload, vector in found if isinstance(upload, UploadedText)]
    outputs: Outputs = {"IMAGE_EMBEDDING": np.array(images), "TEXT_EMBEDDING": np.array(texts)}
    if scorer is not None:
        similarity, probability = np.empty((2, len(images), len(labels)), dtype=np.float32)
        for row, answer_ in enumerate(scorer.answers(images, deadline)):
            # The ranking knows a repeated label once; a tensor has a column for each as it was sent.
            places = {place.label: place for place in answer_.ranking}
            similarity[row] = [places[label].similarity for label in labels]
            probability[row] = [places[label].probability for label in labels]
        outputs |= {"SIMILARITY": similarity, "PROBABILITY": probability}
    return outputs
