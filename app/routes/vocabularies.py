"""GET /v1/vocabularies: the lists of words that ship, for who has no labels."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from app.routes.dependencies import KeyDep
from app.schemas.responses import VocabularyCard, VocabularyList, VocabularyWords
from models.labels.vocabularies import NAMES, VocabularyName, vocabulary

router = APIRouter(tags=["Look"])


@router.get("/v1/vocabularies", summary="Words that ship with Candid", dependencies=[KeyDep])
async def list_vocabularies() -> VocabularyList:
    """`vocabulary` of `/v1/classify` takes one of these names in place of labels."""
    cards = [
        VocabularyCard(
            name=words.name,
            labels=len(words.labels),
            template=next(iter(words.templates), None),
            source=words.source,
            licence=words.licence,
        )
        for words in map(vocabulary, NAMES)
    ]
    return VocabularyList(data=cards)


@router.get("/v1/vocabularies/{name}", summary="The words of one list", dependencies=[KeyDep])
async def show_vocabulary(
    name: Annotated[VocabularyName, Path(openapi_examples={"textures": {"value": "textures"}})],
) -> VocabularyWords:
    """In the order of the list."""
    return VocabularyWords(name=name, labels=list(vocabulary(name).labels))
