"""CTGAN and TVAE (Xu 2019) with their defaults, stopped after as many epochs as the budget allows.

What they know of gaps: none, so a gap in a column of words is a level of its own, as their own transformers write it.
Columns of words are declared as categories, and whole numbers are rounded when drawn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import ctgan
import pandas as pd
import table_task

GAP = "(missing)"


class Epochs:
    """Stands for `tqdm`: counts epochs, and ends when the budget is spent."""

    def __init__(self, task: table_task.TableTask) -> None:
        self.task, self.done = task, 0

    def __call__(self, epochs: range, **_: object) -> Iterator[int]:
        for epoch in epochs:
            if self.task.spent() >= self.task.budget:
                return
            yield epoch
            self.done += 1

    def set_description(self, *_: object) -> None: ...


def typed(made: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """With gaps for their level, and numbers whole where the training rows' are."""
    made = made.replace(GAP, None)
    for column in like.select_dtypes("integer"):
        made[column] = pd.to_numeric(made[column]).round().astype("int64")
    return made[list(like.columns)]


def main() -> None:
    task = table_task.TableTask("ctgan", model="ctgan", epochs=300)
    words = list(task.train.select_dtypes(exclude="number").columns)
    train = task.train.copy()
    train[words] = train[words].astype(object).fillna(GAP)
    model = (ctgan.CTGAN if task.options["model"] == "ctgan" else ctgan.TVAE)(epochs=task.options["epochs"])
    model.set_random_state(task.seed)
    epochs = Epochs(task)
    sys.modules[type(model).__module__].tqdm = epochs  # pyright: ignore[reportAttributeAccessIssue]
    task.start()
    model.fit(train, words)
    trained = task.spent()
    networks = [v for v in vars(model).values() if hasattr(v, "parameters")]
    parameters = sum(p.numel() for network in networks for p in network.parameters())
    task.report(lambda n: typed(model.sample(n), task.train), parameters, trained, epochs=epochs.done)


if __name__ == "__main__":
    main()
