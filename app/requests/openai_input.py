"""The input of `/v1/embeddings`, in each of the ways in which OpenAI's clients send texts and pictures.

"input": "…" or ["…", "…"]                                        texts: OpenAI
"input": ["…", "data:image/jpeg;base64,…"]                        told apart by how they begin: NVIDIA NIM
"input": ["data:image/jpeg;base64,…"], "modality": "image"        pictures, plain base64 too: infinity
"input": [{"text": "…"}, {"image": "…"}]                          Jina, SGLang
"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:…"}}]}]
                                                                  one item: vLLM
"""

from __future__ import annotations

from typing import Any

from app.requests.uploads import Upload, UploadedText, check_counts, uploaded_image, uploaded_text
from app.schemas.requests import EmbedTextsBody
from app.settings import Settings
from models.errors import InvalidRequest


def uploads_of(body: EmbedTextsBody, settings: Settings) -> list[Upload]:
    """What is to be embedded, in order. Raises InvalidRequest or ImageRejected, naming the place."""
    if body.input is None and body.messages is None:
        raise InvalidRequest("input is required: a text or a list of texts (or else messages)", field="input")
    if body.input is not None and body.messages is not None:
        raise InvalidRequest("send input or messages, not both", field="input")
    if body.messages is not None:
        items = [_message(body.messages, settings)]
    else:
        values = body.input if isinstance(body.input, list) else [body.input]
        if not values:
            raise InvalidRequest("input must be a text or a list of texts, and not empty", field="input")
        _check_length(values, settings)
        places = [f"input[{i}]" for i in range(len(values))] if isinstance(body.input, list) else ["input"]
        items = [_item(value, place, body, settings) for value, place in zip(values, places, strict=True)]
    check_counts(items, "input", settings)
    images = [item.field for item in items if not isinstance(item, UploadedText)]
    if images and "openai" not in settings.compat:
        message = "pictures are switched off here (setting: compat); send them to /v1/embeddings/images"
        raise InvalidRequest(message, field=images[0])
    return items


def _check_length(values: list[Any], settings: Settings) -> None:
    """No list is looked through that is too long whatever is in it."""
    limit = settings.max_labels + settings.max_images
    if len(values) > limit:
        raise InvalidRequest(
            f"input has {len(values)} entries; at most {settings.max_labels} texts (limit: max_labels) "
            f"and {settings.max_images} pictures (limit: max_images)",
            field="input",
        )


def _item(value: Any, field: str, body: EmbedTextsBody, settings: Settings) -> Upload:
    if isinstance(value, int | list):
        raise InvalidRequest(
            f"{field}: send texts; token numbers mean something else to this model", field=field
        )
    if isinstance(value, dict):
        return _named(value, field, settings)
    if body.modality == "image" or (body.modality is None and _is_picture(value)):
        return uploaded_image(value, field, settings)
    return uploaded_text(value, field, settings)


def _named(value: dict[str, Any], field: str, settings: Settings) -> Upload:
    """`{"text": …}` or `{"image": …}`; both at once would be one fused vector, which CLIP does not have."""
    match value:
        case {"text": text, **rest} if not rest:
            return uploaded_text(text, f"{field}.text", settings)
        case {"image": image, **rest} if not rest:
            return uploaded_image(image, f"{field}.image", settings)
    raise InvalidRequest(f'{field} must be {{"text": …}} or {{"image": …}}, one of the two', field=field)


def _message(messages: Any, settings: Settings) -> Upload:
    match messages:
        case [{"role": "user", "content": str(text)}]:
            return uploaded_text(text, "messages[0].content", settings)
        case [{"role": "user", "content": [{"type": "text", "text": text}]}]:
            return uploaded_text(text, "messages[0].content[0].text", settings)
        case [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]:
            return uploaded_image(url, "messages[0].content[0].image_url.url", settings)
    raise InvalidRequest(
        "messages must be one message of the role user, whose content is one part: "
        '{"type": "text", "text": …} or {"type": "image_url", "image_url": {"url": "data:image/…;base64,…"}}',
        field="messages",
    )


def _is_picture(value: Any) -> bool:
    return isinstance(value, str) and value[:11].lower() == "data:image/"
