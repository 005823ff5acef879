"""Names: are samples closer to held-out names than those of an n-gram model that counts, and are they copies?

    python benchmarks/names.py names.txt [--families flow diffusion] [--budget 180s] [--cpu] [--threads 1]
    python benchmarks/names.py names.txt --held-out 0.1 --budget 15m --families diffusion vae gan flow

Prints the bits each character of held-out names costs, ends of names counted: of n-gram models exactly, of families
that have one an upper bound. Then the divergence between n-gram profiles (1 to 4, Jensen-Shannon, bits) of held-out
names and of samples, of 3-gram samples and of training names, at equal numbers of lines; the share of samples that
stand in the training split, and by chance: the share that stand in the held-out split, times as many as there are of
the former for each of the latter. What is copied beyond that is learnt by heart. Rows "without copies" are of samples
drawn as by `sansheng sample --no-copies`, which have none by what they are.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from cpu import count_cpu_seconds

import sansheng.run
from sansheng.again import Known, draw_new
from sansheng.codecs.base import Records
from sansheng.data import Data, open_data
from sansheng.events import ignore
from sansheng.metrics.memory import copied_share
from sansheng.metrics.ngram_model import NGramModel
from sansheng.metrics.text import ngram_profile_divergence, unique_share


def with_less_held_out(data: Data, share: float) -> Data:
    """The same, with held-out lines trained on until that share of all of them is left."""
    kept = round(share * (len(data.train) + len(data.test)))
    if not 0 < kept < len(data.test):
        raise SystemExit(
            f"--held-out is more than 0 and less than {len(data.test) / (len(data.train) + len(data.test)):.2f}"
        )
    order = np.random.default_rng(0).permutation(len(data.test))  # the file begins with the commonest names
    parts = data.test_records.take(order[:kept]), data.test_records.take(order[kept:])
    train = data.train_records.join(parts[1])
    encode = data.codec.encode
    return replace(data, train=encode(train), test=encode(parts[0]), train_records=train, test_records=parts[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--families", nargs="+", default=["flow", "diffusion"])
    parser.add_argument("--budget", default="180s")
    parser.add_argument("--lines", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu", action="store_true", help="the budget is in CPU seconds")
    parser.add_argument("--run", help="score this run instead of training")
    parser.add_argument(
        "--held-out", type=float, metavar="SHARE", help="share of the names held out; a fifth unless told"
    )
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.cpu:
        count_cpu_seconds()
    data = open_data(asked.path)
    if asked.held_out is not None:
        data = with_less_held_out(data, asked.held_out)
    train, every, rng = data.train_records.values, data.test_records.values, np.random.default_rng(0)
    held_out = [every[i] for i in rng.permutation(len(every))[: asked.lines]]
    n = len(held_out)
    bits = {f"{o}-gram": NGramModel(o).fit(train).bits_per_character(held_out) for o in (3, 4, 5)}
    rows = {
        "training": [train[i] for i in rng.permutation(len(train))[:n]],
        **{f"{order}-gram": NGramModel(order).fit(train).sample(n, rng) for order in (3, 4, 5)},
    }
    for family in ["run"] if asked.run else asked.families:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            run = (
                sansheng.run.load(asked.run)
                if asked.run
                else sansheng.run.train(
                    data,
                    family=family,
                    budget=asked.budget,
                    out=out,
                    previews=False,
                    settings={"threads": asked.threads},
                )
            )
            rows[family] = run.sample(n)
            known, draw = Known(data), lambda count, seed, run=run: run.draw(count, seed=seed)
            rows[f"{family}, without copies"] = draw_new(known, data.codec, n, draw, 0, ignore).values
            if run.model.has_likelihood:
                nats = run.log_likelihood(Records(held_out), samples=50)
                bits[family] = float(-nats.sum() / np.log(2) / (len("".join(held_out)) + n))
    for name, lines in rows.items():
        divergence = ngram_profile_divergence(held_out, lines)
        chance = copied_share(every, lines) * len(train) / len(every)
        shares = {"copied": copied_share(train, lines), "by_chance": chance, "unique": unique_share(lines)}
        found = {"row": name, "bits": bits.get(name), "divergence": round(divergence, 4), **shares}
        print(json.dumps({**found, "lines": n, "some": lines[:8]}), flush=True)


if __name__ == "__main__":
    main()
