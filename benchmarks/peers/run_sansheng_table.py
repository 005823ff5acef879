"""Our own families on a table, with their defaults; the run's clock reads CPU seconds in place of those on the wall."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import table_task

import sansheng.loop
import sansheng.run
from sansheng import codecs
from sansheng.data import Data, digest_of


def given(task: table_task.TableTask) -> Data:
    """Data whose split is the one given."""
    train, test = (codecs.table.from_frame(frame).records for frame in (task.train, task.test))
    codec = codecs.fit("table", train)
    return Data(
        "table", "table in memory", "table", digest_of(train, test), codec, codec.encode(train), codec.encode(test),
        train, test, (), (), 0,
    )  # fmt: skip


def main() -> None:
    task = table_task.TableTask("sansheng", family="flow", parameters=0, settings="")
    # A process that is stopped between its turns must not be charged for the time of others.
    sansheng.loop.time = SimpleNamespace(perf_counter=time.process_time)  # pyright: ignore[reportAttributeAccessIssue]
    sansheng.run.examine = lambda *_: []  # pyright: ignore[reportAttributeAccessIssue]
    sansheng.run.devices.choose_threads = lambda *_: (1, 0.0)  # pyright: ignore[reportAttributeAccessIssue]
    task.start()
    data = given(task)
    prepared = task.spent()
    settings = dict(pair.split(":", 1) for pair in task.options["settings"].split(",") if pair)
    run = sansheng.run.train(
        data, family=task.options["family"], budget=f"{max(1.0, task.budget - prepared):.3f}s", seed=task.seed,
        out=task.out / "run", force=True, parameters=task.options["parameters"] or None, previews=False,
        settings=settings,
    )  # fmt: skip
    trained = task.spent()
    journal = (task.out / "run" / "journal.jsonl").read_text().splitlines()
    count = sum(p.numel() for p in run.model.parameters() if p.requires_grad)
    task.report(
        lambda n: run.sample(n, seed=task.seed), count, trained, steps=json.loads(journal[-1])["step"],
        settings=task.options["settings"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
