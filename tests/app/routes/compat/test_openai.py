"""`/v1/embeddings` and `/v1/models`, asked by openai-python: texts, and pictures in each of four ways."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest
from starlette.testclient import TestClient

from tests.app.routes.compat.conftest import KEY


@pytest.fixture
def asking(server: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0) as opened:
        yield opened


@pytest.fixture(scope="session")
def uri(cat: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(cat).decode()


@pytest.fixture(scope="session")
def picture(client: TestClient, cat: bytes) -> Any:
    """The cat's vector, as the service's own route gives it."""
    row = client.post("/v1/embeddings/images", files={"images": cat}).json()["data"][0]
    return pytest.approx(row["embedding"], abs=1e-6)


@pytest.fixture(scope="session")
def word(client: TestClient) -> Any:
    row = client.post("/v1/embeddings", json={"input": "a cat"}).json()["data"][0]
    return pytest.approx(row["embedding"], abs=1e-6)


def test_texts(asking: openai.OpenAI, classifier: Any, word: Any) -> None:
    name = classifier.info.name

    # The client asks for base64 here, though nobody told it to, and for numbers below.
    one = asking.embeddings.create(model=name, input="a cat")
    two = asking.embeddings.create(model=name, input=["a cat", "two dogs"], encoding_format="float")

    assert one.data[0].embedding == word
    assert two.data[0].embedding == word
    assert [row.index for row in two.data] == [0, 1]
    assert np.linalg.norm(two.data[1].embedding) == pytest.approx(1, abs=1e-3)
    assert one.model == name
    assert one.usage.prompt_tokens == one.usage.total_tokens == sum(classifier.count_tokens(["a cat"]))


def test_mixed_in_the_input(
    asking: openai.OpenAI, uri: str, picture: Any, word: Any, classifier: Any
) -> None:
    answer = asking.embeddings.create(model=classifier.info.name, input=["a cat", uri, "a cat"])

    assert [row.embedding for row in answer.data] == [word, picture, word]
    assert answer.usage.prompt_tokens == 2 * sum(classifier.count_tokens(["a cat"]))


def test_modality(asking: openai.OpenAI, uri: str, picture: Any, classifier: Any) -> None:
    plain = uri.partition(",")[2]
    body = {"modality": "image"}

    answer = asking.embeddings.create(model=classifier.info.name, input=[uri, plain], extra_body=body)

    assert [row.embedding for row in answer.data] == [picture, picture]


def test_named_items(asking: openai.OpenAI, uri: str, picture: Any, word: Any, classifier: Any) -> None:
    items: Any = [{"text": "a cat"}, {"image": uri}, {"image": uri.partition(",")[2]}]

    answer = asking.embeddings.create(model=classifier.info.name, input=items)

    assert [row.embedding for row in answer.data] == [word, picture, picture]


def test_messages(asking: openai.OpenAI, uri: str, picture: Any, word: Any, classifier: Any) -> None:
    def ask(content: Any) -> Any:
        body = {
            "model": classifier.info.name,
            "messages": [{"role": "user", "content": content}],
            "encoding_format": "float",
        }
        return asking.post("/embeddings", body=body, cast_to=openai.types.CreateEmbeddingResponse)

    assert ask([{"type": "image_url", "image_url": {"url": uri}}]).data[0].embedding == picture
    assert ask([{"type": "text", "text": "a cat"}]).data[0].embedding == word
    assert ask("a cat").data[0].embedding == word


def test_errors_reach_the_caller(asking: openai.OpenAI, uri: str, classifier: Any) -> None:
    with pytest.raises(openai.NotFoundError, match="model 'text-embedding-3-small' is not loaded"):
        asking.embeddings.create(model="text-embedding-3-small", input="a cat")
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        asking.embeddings.create(
            model=classifier.info.name, input=["a cat", uri, "data:image/png;base64,AAAA"]
        )
    assert caught.value.code == "image_rejected"
    assert caught.value.body["field"] == "input[2]"


def test_models(asking: openai.OpenAI, classifier: Any) -> None:
    assert [model.id for model in asking.models.list()] == [classifier.info.name]


def test_key(locked: str, classifier: Any) -> None:
    with openai.OpenAI(base_url=f"{locked}/v1", api_key=KEY, max_retries=0) as asking:
        assert asking.embeddings.create(model=classifier.info.name, input="a cat").data
    with (
        openai.OpenAI(base_url=f"{locked}/v1", api_key="another-key", max_retries=0) as asking,
        pytest.raises(openai.AuthenticationError, match="send one of the service's keys"),
    ):
        asking.embeddings.create(model=classifier.info.name, input="a cat")
