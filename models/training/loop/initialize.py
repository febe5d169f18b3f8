"""What a phase begins with: the material, and the model as the phase before left it."""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from models.training.corpus import dataset, name_banks
from models.training.corpus.sampling import chances
from models.training.loop import distillation, projection, train_step
from models.training.loop.phases import JOINT, LOCKED, TEXT, Phase
from models.training.model import checkpoint, efficientnet_lite, export, image_features, ridge, towers

FIRST_SCALE = 30.0  # of the logits
BEFORE = {LOCKED.name: TEXT.name, JOINT.name: LOCKED.name}
RIDGE = 0.02  # of the first projection, times the features' mean variance
RIDGE_OF_ROWS = 0.1  # of the names' rows, times the mean variance of the pictures' vectors
OF_ROWS = {"classes": 0.9, "labels": 0.5, "kinds": 0.5}  # weight of a name's row beside the vector it has
OF_CLASSIFIER = 0.9  # length of the projection that repeats the classifier, beside the learnt one


def material(chosen: argparse.Namespace) -> train_step.Material:
    """Everything that `prepare` left, and the words of it."""
    corpus = dataset.load(chosen.corpus, chosen.cache)
    found = image_features.load(chosen.cache, efficientnet_lite.read(chosen.lite, chosen.image_tower))
    words = name_banks.gather(corpus, found.soft_ids, found.soft_p, chosen.words)
    wanted = distillation.targets(corpus, dataset.lvis_names(chosen.corpus), chosen.cache, chosen.words)
    return train_step.Material(corpus, found, words, wanted, chosen.image_size, words.kinds_of_classes())


def model(chosen: argparse.Namespace, phase: Phase, given: train_step.Material) -> Any:
    """The towers as the phase before left them; before the first, as their packages or an older model did."""
    made = towers.build(towers.config(chosen.image_tower, chosen.image_size))
    if phase.name in BEFORE:
        before = checkpoint.load(chosen.cache / f"{BEFORE[phase.name]}.pt")
        if before is None:
            raise FileNotFoundError(f"{chosen.cache} holds no {BEFORE[phase.name]}.pt: run that step first")
        made.load_state_dict(before["model"])
    else:
        efficientnet_lite.put_into(made.visual.trunk, efficientnet_lite.read(chosen.lite, chosen.image_tower))
        if chosen.begin_with is not None:
            export.read_text(chosen.begin_with, made.text)
        else:
            distillation.begin_as_teacher(made.text, chosen.cache)
    if phase.name == LOCKED.name:
        begin_projection(made, given)
    if "rows" in phase.weights:
        classifier = efficientnet_lite.read(chosen.lite, chosen.image_tower)
        projection.move(made, given, classifier, share=OF_CLASSIFIER, labels=0)
        given.rows = rows_of_names(made, given, classifier)
    return made.to(towers.device())


@torch.no_grad()
def begin_projection(model: Any, given: train_step.Material) -> None:
    """The projection that brings each picture nearest to the names of what the classifier sees in it."""
    model.logit_scale.fill_(math.log(FIRST_SCALE))
    bank = towers.encode_texts(model.text, [names[0] for names in given.words.banks["classes"].names])
    bank = bank - bank.mean(dim=0)  # (C, D)
    ids, p = (torch.from_numpy(a) for a in (given.features.soft_ids, given.features.soft_p))
    wanted = F.normalize(torch.einsum("nk,nkd->nd", p, bank[ids]), dim=-1)  # (N, D)
    rows = torch.from_numpy(given.features.views[:, 0]).float()  # (N, F)
    mean = rows.mean(dim=0)
    rows -= mean
    found = ridge.solve(rows.T @ rows, rows.T @ wanted, RIDGE)  # (F, D)
    head = model.visual.trunk.get_classifier()
    head.weight.copy_(found.T)
    head.bias.copy_(-(mean @ found))


@torch.no_grad()
def rows_of_names(
    model: Any, given: train_step.Material, classifier: efficientnet_lite.Lite
) -> dict[str, torch.Tensor]:
    """Where names would name their pictures best, (C, D) of each bank.

    The classifier's logits, and the labels, regressed on the pictures' vectors: classes that no picture shows
    get their place from how little other pictures look like them, and what they are kinds of the mean of
    its classes' places. Beside it the name's own vector.
    """
    features = torch.from_numpy(given.features.views[:, 0]).float()  # (N, F)
    pictures = towers.project(model.visual, features)  # (N, D)
    weights = torch.from_numpy(chances(given.corpus)).float()[:, None] * len(given.corpus)  # (N, 1)
    weighted = pictures * weights
    gram = weighted.T @ pictures
    logits = features @ classifier.rows.T + classifier.bias  # (N, C)
    logits -= logits.mean(dim=1, keepdim=True)
    banks = given.words.banks
    every = np.arange(len(banks["labels"].names))
    labels = torch.from_numpy(banks["labels"].wanted(np.arange(len(features)), every))  # (N, L)
    labels -= (labels * weights).mean(dim=0)
    rows = {
        "classes": ridge.solve(gram, weighted.T @ logits, RIDGE_OF_ROWS).T,
        "labels": ridge.solve(gram, weighted.T @ labels, RIDGE_OF_ROWS).T,
    }
    of_kinds = torch.from_numpy(given.kinds_of_classes)  # (C, K)
    rows["kinds"] = of_kinds.T @ rows["classes"]  # a mean but for its length
    found = {}
    for name, of_pictures in rows.items():
        if not banks[name].names:
            continue
        own = towers.encode_texts(model.text, [names[0] for names in banks[name].names])
        found[name] = F.normalize(own + OF_ROWS[name] * F.normalize(of_pictures, dim=-1), dim=-1)
    return found
