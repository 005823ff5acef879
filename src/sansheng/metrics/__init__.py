"""Scores of samples against data: pure functions of arrays, lists of strings and DataFrames, and of a generator.

The one constraint: the same answer whatever the batch size, and nothing here knows of models, codecs or runs.

distances   Frechet, kernel (KID), sliced Wasserstein            image     features of images, trained on the data
coverage    precision, recall, density, coverage, modes          text      n-gram divergence and features
memory      copying, exact copies                                ngram_model  the reference that counts n-grams
twosample   a classifier told real from fake                     table     shape and trend errors; association
bootstrap   intervals                                            usefulness  train on synthetic, test on real
judges      networks told real series from fake          kernels   features of series, and a classifier
series      margins, tails, memory, facts of prices, CRPS
rows        rows of a table as points                            privacy   copies and attacks on a table
health      active units, lost classes
"""

from sansheng.metrics.score import Score, pool_scores
from sansheng.metrics.scores import FEWEST, score_features, score_privacy, score_table, score_text, score_usefulness
from sansheng.metrics.series_scores import score_series

__all__ = [
    "FEWEST",
    "Score",
    "pool_scores",
    "score_features",
    "score_privacy",
    "score_series",
    "score_table",
    "score_text",
    "score_usefulness",
]
