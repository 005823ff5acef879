"""The model card of a run: what it is, what it was made from, how to use it, and what it must not be taken for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sansheng.loop import State
from sansheng.recipe import Recipe, count_parameters


def model_card(recipe: Recipe, data: Sequence[tuple[str, str]], state: State, symptoms: Sequence[str]) -> str:
    """Markdown; `data` are the codec's lines on what was understood, `symptoms` what health found."""
    health = "".join(f"- {symptom}\n" for symptom in symptoms) or "- nothing amiss was found\n"
    understood = "".join(f"- {name}: {text}\n" for name, text in data)
    given = f"Conditioned on {', '.join(recipe.data.condition)}.\n" if recipe.data.condition else ""
    settings = ", ".join(f"{name}={value}" for name, value in recipe.settings.items())
    return f"""# A {recipe.family} of {recipe.data.name}

Trained by sansheng {recipe.sansheng} ({recipe.preset} preset, seed {recipe.seed}): {count_parameters(state.model):,}
parameters, {state.step:,} steps in {state.clock.seconds:,.0f} s on {recipe.device}.
{given}
## Data
{understood}
## Use
    sansheng sample . -n 100 --out samples
    sansheng evaluate .

## Health
{health}
## Limits
Samples are drawn from a model of the data, and are only as good as its scores say (`scores.json`). A model may repeat
training examples: look at the copying score before sharing samples of people's data. Weights, the codec and the kept
conditions hold statistics of the training data; no formal privacy is promised.

## Settings
{settings}
"""


def run_facts(recipe: Recipe, parameters: int, latest: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What a run is, as (name, description) lines. latest: the manifest's line of its newest checkpoint."""
    trained = f"{latest['step']:,} steps in {latest['seconds']:,.0f} s" if latest else "not at all"
    return [
        ("family", f"{recipe.family} ({recipe.preset})"),
        ("data", f"{recipe.data.name} ({recipe.data.kind}) from {recipe.data.source}"),
        ("condition", ", ".join(recipe.data.condition) or "none"),
        ("parameters", f"{parameters:,}"),
        ("budget", str(recipe.budget)),
        ("trained", trained),
        ("seed", str(recipe.seed)),
        ("device", f"{recipe.device}, {recipe.precision}, {recipe.threads} threads"),
        ("settings", ", ".join(f"{k}={v}" for k, v in recipe.settings.items())),
    ]
