"""Recipes by name: everything about a run but its data's place and the machine.

``mgdn train --recipe NAME`` on the data, threads and versions its weights were made with gives
their bits again; on other data it is the same training.
"""

import math

import msgspec

from mgdn_edge.export.losses import LossWeights
from mgdn_edge.export.training_crops import Jitter
from mgdn_edge.runtime.errors import UserError


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A network, how long it is trained, and every rate.

    ``data`` is ``digest_list`` of the files its weights were made with, or empty. A step reads
    ``batch`` crops of ``crop`` x ``crop`` pixels. ``average`` is the decay of the weights' moving
    average, which is what a checkpoint holds; gradients whose norm is above ``gradient_norm``
    are scaled down to it. Every ``validate_every`` steps the fixed frames are measured.
    """

    name: str = "mgdn-edge"
    network: str = "mgdn-edge"
    data: str = ""
    steps: int = 9000
    seed: int = 0
    batch: int = 8
    crop: int = 160
    learning_rate: float = 2e-3
    final_learning_rate: float = 2e-5
    warmup_steps: int = 100
    average: float = 0.998  # about 500 steps
    gradient_norm: float = 1.0
    validate_every: int = 1000
    weights: LossWeights = msgspec.field(default_factory=LossWeights)
    jitter: Jitter = msgspec.field(default_factory=Jitter)


# 140 pairs of RoadScene, 44 of MSRS and two clips of M3SVD, in the order of their manifest.
SHIPPED_DATA = "fc9b05abd7c3b8940c5b3f3c28bda3f7ea30a2279d9fe6f7faa3984190a46233"

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="mgdn-edge", data=SHIPPED_DATA),
        Recipe(
            name="mgdn-ir",
            network="mgdn-ir",
            data=SHIPPED_DATA,
            steps=3600,  # 70 minutes of one core
            batch=2,
            crop=96,
            average=0.995,  # about 200 steps, as the run is short
            validate_every=600,
        ),
    )
}


# What fine-tuning changes in a recipe: a few steps at a twentieth of the rates.
FINE_TUNING = {
    "steps": 600,
    "learning_rate": 1e-4,
    "final_learning_rate": 1e-6,
    "average": 0.99,  # about 100 steps
    "validate_every": 200,
}


def find_recipe(
    name: str, *, steps: int | None = None, seed: int | None = None, tuning: bool = False
) -> Recipe:
    """Name -> its recipe, with other steps or another seed where given; raises UserError.

    ``tuning`` makes it short and slow, for weights that are trained already.
    """
    if name not in RECIPES:
        raise UserError(f"recipe {name!r} is unknown; known: {', '.join(RECIPES)}")
    if steps is not None and steps < 1:
        raise UserError(f"steps={steps}; a length above zero is wanted")
    if seed is not None and not 0 <= seed < 2**63:
        raise UserError(f"seed={seed}; a number from 0 to 2**63 - 1 is wanted")
    recipe = RECIPES[name]
    if tuning:
        recipe = msgspec.structs.replace(recipe, **FINE_TUNING)
    return msgspec.structs.replace(
        recipe,
        steps=recipe.steps if steps is None else steps,
        seed=recipe.seed if seed is None else seed,
    )


def learning_rate(recipe: Recipe, done: float, step: int) -> float:
    """Share of the run done, in [0, 1], and the step -> cosine from first to final rate.

    The first ``warmup_steps`` rise linearly, as Adam's second moments start from nothing.
    """
    cosine = (1 + math.cos(math.pi * min(done, 1.0))) / 2
    rate = recipe.final_learning_rate + cosine * (recipe.learning_rate - recipe.final_learning_rate)
    return rate * min(1.0, (step + 1) / recipe.warmup_steps)
