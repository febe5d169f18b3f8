"""Examples of answers for the docs page."""

from __future__ import annotations

from typing import Any, Final

_Answer = dict[str, Any]

CLASSIFICATION: Final[_Answer] = {
    "model": "embedded",
    "calibrated": False,
    "results": [
        {
            "name": "coffee.jpg",
            "width": 600,
            "height": 400,
            "ranking": [
                {"label": "coffee cup", "similarity": 0.142213, "probability": 0.98782},
                {"label": "motorcycle", "similarity": 0.027421, "probability": 0.0110106},
                {"label": "cat", "similarity": -0.029813, "probability": 0.00116985},
            ],
        }
    ],
    "warnings": [],
    "timing_ms": {"decode": 22.44, "queue": 21.74, "encode": 76.0, "total": 250.69},
}
EMBEDDINGS: Final[_Answer] = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.0360907, -0.0250156, 0.0412903]}],
    "model": "embedded",
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
    "warnings": [],
}
MODELS: Final[_Answer] = {
    "object": "list",
    "data": [
        {
            "id": "ViT-B-32/openai",
            "object": "model",
            "created": 1767225600,
            "owned_by": "candid",
            "ready": True,
            "architecture": "ViT-B-32",
            "pretrained": "openai",
            "embed_dim": 512,
            "image_size": 224,
            "context_length": 77,
            "licence": "MIT",
            "imagenet_top1": 63.3,
            "accuracy_source": "open_clip docs/openclip_results.csv",
            "encoder": "torch",
            "device": "cpu",
            "precision": "fp32",
            "kind": "softmax",
            "logit_scale": 100.0,
            "logit_bias": None,
            "default_template": "photo",
            "parameters": 151277313,
            "fingerprint": "3f1c…",
            "note": "The original CLIP.",
            "explain": "naclip",
        }
    ],
}
VOCABULARIES: Final[_Answer] = {
    "object": "list",
    "data": [
        {
            "name": "textures",
            "labels": 47,
            "template": "a photo of a {} texture.",
            "source": "the 47 words of the Describable Textures Dataset (Cimpoi et al., CVPR 2014)",
            "licence": "names alone are used, no picture",
        }
    ],
}
VOCABULARY: Final[_Answer] = {"name": "textures", "labels": ["banded", "blotchy", "braided"]}
HEALTH: Final[_Answer] = {"status": "ok", "version": "0.1.0"}
READINESS: Final[_Answer] = {"ready": True, "draining": False, "models": {"embedded": True}}
ERROR: Final[_Answer] = {
    "error": {
        "code": "invalid_request",
        "message": "top_k: Input should be greater than or equal to 1",
        "field": "top_k",
        "request_id": "7c1f0e6a9b2d4c58",
    }
}

LABEL_SET: Final[_Answer] = {
    "name": "pets",
    "version": 3,
    "updated": 1767225600,
    "labels": [
        {
            "label": "cat",
            "aliases": ["kitten"],
            "descriptions": ["with whiskers and pointed ears"],
            "prompts": [],
            "threshold": None,
        },
        {"label": "dog", "aliases": [], "descriptions": [], "prompts": [], "threshold": None},
    ],
    "template": ["photo"],
    "domain": None,
    "mode": "single",
    "threshold": None,
    "reject": True,
    "reject_threshold": None,
    "examples": {"cat": 1},
    "calibration": [],
}
LABEL_SETS: Final[_Answer] = {
    "object": "list",
    "data": [{"name": "pets", "version": 3, "updated": 1767225600, "labels": 2, "examples": 1}],
}
EXAMPLES: Final[_Answer] = {
    "object": "list",
    "label_set": "pets",
    "version": 3,
    "data": [
        {
            "id": "0f3a62f1c8a94a1d8b7e5c6d2e9f4b10",
            "label": "cat",
            "models": ["embedded"],
            "added": 1767225600,
        }
    ],
}
ADDED: Final[_Answer] = {
    "label_set": "pets",
    "version": 3,
    "label": "cat",
    "results": [{"name": "cat.jpg", "id": "0f3a62f1c8a94a1d8b7e5c6d2e9f4b10", "duplicate": False}],
}
ADDED_LABELLED: Final[_Answer] = {
    "label_set": "pets",
    "version": 3,
    "results": [
        {"name": "cat.jpg", "label": "cat", "id": "0f3a62f1c8a94a1d8b7e5c6d2e9f4b10", "duplicate": False}
    ],
}
CALIBRATION: Final[_Answer] = {
    "label_set": "pets",
    "version": 4,
    "model": "embedded",
    "temperature": 1.38321,
    "images": 20,
    "ece_before": 0.201047,
    "ece_after": 0.261052,
    "unreadable": [],
}
