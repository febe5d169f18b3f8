"""Thirty lines of one's own: open_clip behind FastAPI, as a first attempt looks.

Runs a ViT-B/32 from the folder in BENCH_MODEL; POST /classify with `image` and `labels` fields.
"""

from __future__ import annotations

import io
import os
from typing import Annotated, Any

import open_clip
import torch
from fastapi import FastAPI, File, Form
from PIL import Image

app = FastAPI()
name = f"local-dir:{os.environ['BENCH_MODEL']}"
model: Any
model, _, transform = open_clip.create_model_and_transforms(name)
model.eval()
tokenizer = open_clip.get_tokenizer(name)
template = os.environ["BENCH_TEMPLATE"]


@app.post("/classify")
def classify(image: Annotated[bytes, File()], labels: Annotated[list[str], Form()]) -> list[dict[str, Any]]:
    pixels = transform(Image.open(io.BytesIO(image)).convert("RGB")).unsqueeze(0)
    tokens = tokenizer([template.replace("{}", label) for label in labels])
    with torch.no_grad():
        image_features = model.encode_image(pixels, normalize=True)
        text_features = model.encode_text(tokens, normalize=True)
        probabilities = (model.logit_scale.exp() * image_features @ text_features.T).softmax(dim=-1)[0]
    ranked = sorted(zip(labels, probabilities.tolist(), strict=True), key=lambda pair: -pair[1])
    return [{"label": label, "score": score} for label, score in ranked]
