"""GET /v1/models: what is loaded, in OpenAI's list shape with what a person wants to know beside it."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from fastapi import APIRouter, Request

from app.routes.dependencies import KeyDep, ServiceDep
from app.schemas.responses import ModelCard, ModelList

router = APIRouter(tags=["Look"])


@router.get("/v1/models", summary="The loaded models", dependencies=[KeyDep])
async def list_models(request: Request, service: ServiceDep) -> ModelList:
    """The first of them answers when a request names none."""
    cards = []
    for name, classifier in service.classifiers.items():
        facts = asdict(classifier.info)
        del facts["name"]
        # After a failure `ready` runs a real forward, which takes its time.
        ready = await asyncio.to_thread(classifier.ready)
        cards.append(ModelCard(id=name, created=service.started, ready=ready, **facts))
    return ModelList(data=cards)
