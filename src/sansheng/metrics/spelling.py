"""A classifier of texts by how they are spelt, which tells whether texts that were asked for by a label came.

The one constraint: it is a linear one, trained in seconds, so that what it cannot tell may still be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Int
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

RUNS = (1, 4)
"""Characters of the runs that are counted, within words and at their edges."""
LOOKED_AT = 256
"""Characters at the beginning of each text."""
MOST_CHARACTERS = 2_000_000
MOST_RUNS = 50_000


@final
class SpellingClassifier:
    """A linear support vector machine on tf-idf of runs of characters (Joachims 1998). classes: sorted labels."""

    def __init__(self, texts: Sequence[str], labels: np.ndarray, *, seed: int) -> None:
        """Learn from texts and a label of each, at most `MOST_CHARACTERS` of them, drawn evenly.

        Raises ValueError for no texts, labels that are not one a text, or just one class.
        """
        if not len(texts) or len(texts) != len(labels):
            raise ValueError(f"each text has a label, got {len(texts)} texts and {len(labels)} labels")
        self.classes = np.unique(labels)
        if len(self.classes) < 2:
            raise ValueError("there is nothing to tell apart: all labels are the same")
        starts = [text[:LOOKED_AT] for text in texts]
        most = max(1, int(MOST_CHARACTERS / (1 + np.mean([len(start) for start in starts]))))
        some = np.random.default_rng(seed).permutation(len(starts))[:most]
        words = TfidfVectorizer(
            analyzer="char_wb", ngram_range=RUNS, sublinear_tf=True, max_features=MOST_RUNS, lowercase=False
        )
        self._model = make_pipeline(words, LinearSVC(random_state=seed))
        known = np.searchsorted(self.classes, labels)[some]
        self._only = int(np.bincount(known).argmax())
        self._fitted = len(np.unique(known)) > 1 and any(starts[i].strip() for i in some)
        if self._fitted:
            self._model.fit([starts[i] for i in some], known)

    def predict(self, texts: Sequence[str]) -> Int[np.ndarray, " N"]:
        """Of each text the place of its class in `classes`, ``(N,)``: the commonest where none could be learnt."""
        if not self._fitted or not len(texts):
            return np.full(len(texts), self._only, dtype=np.int64)
        return np.asarray(self._model.predict([text[:LOOKED_AT] for text in texts]), dtype=np.int64)
