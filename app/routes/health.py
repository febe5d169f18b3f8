"""GET /healthz, /readyz, /metrics: for those who run the service. They need no key and tell no secret."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from app import __version__
from app.routes.dependencies import ServiceDep, readiness_of
from app.schemas.responses import Health, Readiness

router = APIRouter(tags=["Operate"])


@router.get("/healthz", summary="Does the process live?")
async def healthz() -> Health:
    """200 as long as the process answers at all; a container is restarted when it does not."""
    return Health(version=__version__)


@router.get(
    "/readyz",
    summary="Should requests be sent here?",
    responses={503: {"model": Readiness, "description": "Draining, or a model is not ready."}},
)
async def readyz(service: ServiceDep, response: Response) -> Readiness:
    """200 when every model would answer and the service is not shutting down."""
    readiness = await readiness_of(service)
    if not readiness.ready:
        response.status_code = 503
    return readiness


@router.get(
    "/metrics",
    summary="Counters for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format."}},
)
async def metrics(request: Request) -> Response:
    """Labelled by the route's template, status and code; never by path, label text or key."""
    return Response(await request.app.state.scrape(), media_type=CONTENT_TYPE_LATEST)
