"""transformers' `zero-shot-image-classification` pipeline behind a minimal FastAPI.

Runs a CLIPModel of ViT-B/32's shape from the folder in BENCH_MODEL; POST /classify with `image` and `labels`.
"""

from __future__ import annotations

import io
import os
from typing import Annotated, Any

from fastapi import FastAPI, File, Form
from PIL import Image
from transformers import pipeline

app = FastAPI()
classifier = pipeline("zero-shot-image-classification", model=os.environ["BENCH_MODEL"], device="cpu")


@app.post("/classify")
def classify(image: Annotated[bytes, File()], labels: Annotated[list[str], Form()]) -> Any:
    return classifier(
        Image.open(io.BytesIO(image)),
        candidate_labels=labels,
        hypothesis_template=os.environ["BENCH_TEMPLATE"],
    )
