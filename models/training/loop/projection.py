"""The image tower's projection in closed form: names are to say of pictures what is known of them.

P = (TᵀT + r·I)⁻¹ TᵀW, where T (N, D) are the names' vectors and W (N, F) rows on the features that say of a
picture whether the name is true: the classifier's own for the classes, a ridge regression's for the labels.
"""

from __future__ import annotations

from typing import Any

import torch

from models.training.corpus import sampling
from models.training.loop import train_step
from models.training.model import efficientnet_lite, ridge, towers

RIDGE = 0.05  # of the names' vectors, times their mean variance
RIDGE_OF_LABELS = 0.3  # of the labels' rows, times the features' mean variance


@torch.no_grad()
def move(
    model: Any, given: train_step.Material, classifier: efficientnet_lite.Lite, *, share: float, labels: float
) -> None:
    """Add `share` of that projection, as long as the present one; a label counts `labels` times a class."""
    features = torch.from_numpy(given.features.views[:, 0]).float()  # (M, F)
    texts = [names[0] for names in given.words.banks["classes"].names]
    rows, weights = classifier.rows, torch.ones(len(texts))
    if labels:
        names, of_labels = _rows_of_labels(given, features)
        of_labels *= rows.norm(dim=1).mean() / of_labels.norm(dim=1, keepdim=True).clamp(min=1e-9)
        texts, rows = [*texts, *names], torch.cat([rows, of_labels])
        weights = torch.cat([weights, torch.full((len(names),), labels)])
    bank = towers.encode_texts(model.text, texts)  # (N, D)
    weighted = bank * weights[:, None]
    found = ridge.solve(weighted.T @ bank, weighted.T @ rows, RIDGE)  # (D, F)
    head = model.visual.trunk.get_classifier()
    found *= share * head.weight.norm() / found.norm()
    head.weight += found
    head.bias -= found @ features.mean(dim=0)


def _rows_of_labels(given: train_step.Material, features: torch.Tensor) -> tuple[list[str], torch.Tensor]:
    """What labelled pictures are labelled with, and its rows (L, F); sources count by their chances."""
    corpus = given.corpus
    labelled = (~corpus.captioned).nonzero()[0]
    owns = [given.words.own[i] for i in labelled]
    names = sorted({name for own in owns for name in own})
    place = {name: column for column, name in enumerate(names)}
    shares = torch.zeros(len(labelled), len(names))
    for row, own in enumerate(owns):
        shares[row, [place[name] for name in own]] = 1 / len(own)
    weights = torch.from_numpy(sampling.chances(corpus)[labelled]).float()[:, None]  # (M', 1)
    weights /= weights.sum()
    centred = features[labelled] - (features[labelled] * weights).sum(dim=0)
    weighted = centred * weights
    wanted = weighted.T @ (shares - (shares * weights).sum(dim=0))  # (F, L)
    return names, ridge.solve(weighted.T @ centred, wanted, RIDGE_OF_LABELS).T
