"""Examples of answers for the docs page."""

from __future__ import annotations

from typing import Any, Final

_Answer = dict[str, Any]

RELEVANCE: Final = [
    [0.000135, 0.00114, 0.00156, 0.000669, 0.00102, 0.000844, 0.00054, 0.00109, 0.000513],
    [0.000888, 0.00242, 0.00388, 0.00307, 0.00202, 0.00174, 0.00241, 0.00239, 0.000911],
    [0.00154, 0.00613, 0.0094, 0.00861, 0.00594, 0.00625, 0.00804, 0.00831, 0.00229],
    [0.00196, 0.00828, 0.00933, 0.0101, 0.00894, 0.00666, 0.00939, 0.00739, 0.00335],
    [0.00199, 0.00726, 0.00911, 0.0105, 0.00835, 0.00633, 0.0112, 0.00954, 0.00366],
    [0.00164, 0.0075, 0.012, 0.0116, 0.00964, 0.00475, 0.0142, 0.0082, 0.00438],
    [0.00186, 0.00689, 0.00827, 0.0089, 0.00637, 0.00586, 0.0112, 0.00872, 0.00371],
    [0.00169, 0.00522, 0.00655, 0.00377, 0.00373, 0.00204, 0.00566, 0.0036, 0.00291],
    [0.000898, 0.00362, 0.00458, 0.00373, 0.00401, 0.00273, 0.00304, 0.0036, 0.00164],
]
CLASSIFICATION: Final[_Answer] = {
    "model": "embedded",
    "calibrated": False,
    "results": [
        {
            "name": "cat.jpg",
            "width": 64,
            "height": 64,
            "ranking": [
                {"label": "cat", "similarity": 0.415727, "probability": 0.999361},
                {"label": "dog", "similarity": 0.165777, "probability": 0.00062552},
                {"label": "coffee cup", "similarity": 0.0359, "probability": 1.35419e-05},
            ],
            "explanation": {
                "method": "cam",
                "box": [0.0, 0.0, 64.0, 64.0],
                "rows": 9,
                "columns": 9,
                "labels": [{"label": "cat", "relevance": RELEVANCE}],
            },
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
    "slope": 1.21034,
    "offset": -3.5121,
    "images": 20,
    "ece_before": 0.201047,
    "ece_after": 0.261052,
    "unreadable": [],
}
