"""What each metric means, in one plain sentence with its source.

The one constraint: a metric that is not listed here still gets a title, so that a new one never breaks a page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Explanation:
    """title: for tables and charts. text: how to read it. source: who defined it.

    ranked: False for what only warns, where a value beyond that of fresh real data is no better.
    """

    title: str
    text: str
    source: str = ""
    ranked: bool = True

    @property
    def in_sentence(self) -> str:
        """The title as it stands within a sentence."""
        keep = self.title[:2].isupper() or self.title.startswith(("Fréchet", "Monge"))
        return self.title if keep else self.title[:1].lower() + self.title[1:]


METRICS: dict[str, Explanation] = {
    "frechet": Explanation(
        "Fréchet distance",
        "How far apart the samples and real data lie in feature space when each cloud is summed up by its mean "
        "and covariance; 0 is identical, and small sample sizes push it up.",
        "Heusel et al. 2017",
    ),
    "kernel": Explanation(
        "Kernel distance",
        "The same question without assuming a Gaussian, by comparing similarities under a cubic kernel; it does "
        "not drift with the number of samples and can fall slightly below 0 by chance.",
        "Bińkowski et al. 2018",
    ),
    "mind": Explanation(
        "Monge distance",
        "How far samples must be moved to become the real data, looked at along many random directions of feature "
        "space; it sees the form of a cloud, not only its mean and covariance, and needs few samples.",
        "MIND, Berthet et al. 2026",
    ),
    "class_imbalance": Explanation(
        "Class imbalance",
        "The share of samples that would have to be of another class for the classes to come as often as in the data; "
        "chance alone gives a few percent, as held-out data show.",
        "total variation distance of predicted classes",
    ),
    "named_right": Explanation(
        "Named right",
        "The share of samples asked for by a label that a classifier trained on real data gives that label; compare "
        "with held-out data, which it does not always name right either.",
        "Ravuri and Vinyals 2019",
    ),
    "precision": Explanation(
        "Precision",
        "The share of samples that fall among real examples: are the samples believable?",
        "Kynkäänniemi et al. 2019",
    ),
    "recall": Explanation(
        "Recall",
        "The share of real examples that fall among the samples: is the whole variety of the data there?",
        "Kynkäänniemi et al. 2019",
    ),
    "density": Explanation(
        "Density",
        "How many real neighbourhoods an average sample falls in, scaled so that real data score about 1; like "
        "precision, but a single odd real example cannot inflate it.",
        "Naeem et al. 2020",
    ),
    "coverage": Explanation(
        "Coverage",
        "The share of real examples that have a sample in their own neighbourhood; a model that has dropped part "
        "of the data cannot score well.",
        "Naeem et al. 2020",
    ),
    "two_sample_auc": Explanation(
        "Two-sample AUC",
        "How well a gradient-boosted classifier tells samples from real data: 0.5 means it can only guess, 1 that "
        "it always knows.",
        "Lopez-Paz and Oquab 2017",
    ),
    "copying": Explanation(
        "Copying",
        "The share of samples that lie nearer to a training example than to a held-out one, of equally many: fresh "
        "real data score about 0.5, and what a model that repeats its training data would score stands at “training "
        "data replayed”: 1 only if all training examples are looked at. Well above 0.5 is a warning; below is no "
        "better, so it is not ranked.",
        "after Meehan et al. 2020",
        ranked=False,
    ),
    "shape_error": Explanation(
        "Shape error",
        "How far each column's own distribution is off, averaged over columns: 0 % is a perfect match; it says "
        "nothing of how columns go together.",
        "SDMetrics quality report, column shapes",
    ),
    "trend_error": Explanation(
        "Trend error",
        "How far the relation between each pair of columns is off, averaged over pairs: 0 % is a perfect match.",
        "SDMetrics quality report, column pair trends",
    ),
    "missing_error": Explanation(
        "Missing values",
        "By how many percentage points the share of missing values of a column is off, averaged over columns; shape "
        "and trend errors hardly see it.",
        "difference of shares",
    ),
    "near_copies": Explanation(
        "Near copies",
        "The share of samples that are nearer to a training example than 99 % of held-out examples are, so about 1 % "
        "of fresh real data; an estimate and no guarantee of privacy.",
        "distance to closest record, after Zhao et al. 2021",
        ranked=False,
    ),
    "membership": Explanation(
        "Membership inference",
        "How well one can tell who was trained on, by where the synthetic rows are denser than the population: 0.5 "
        "means not at all, 1 always. An estimate by one attack and no guarantee of privacy.",
        "van Breugel et al. 2023 (DOMIAS), with nearest-neighbour densities",
        ranked=False,
    ),
    "attribute_inference": Explanation(
        "Attribute inference",
        "By how many percentage points a column of a person is guessed right more often from the most similar "
        "synthetic row if the person was trained on than if not: 0 is no leak. An estimate by one attack and no "
        "guarantee of privacy.",
        "Stadler et al. 2022; Giomi et al. 2023",
        ranked=False,
    ),
    "singling_out": Explanation(
        "Singling out",
        "By how many percentage points a combination of values that is unique among the samples fits exactly one "
        "person more often among those trained on than among as many others: 0 is no leak. An estimate by one attack "
        "and no guarantee of privacy.",
        "Cohen and Nissim 2020; Giomi et al. 2023",
        ranked=False,
    ),
    "discriminative": Explanation(
        "Discriminative score",
        "How far beyond a guess a recurrent network tells synthetic windows from real ones it has not seen: 0 means it "
        "can only guess, 0.5 that it always knows. It is stronger and trained more briefly than the published one, so "
        "figures compare within this report alone.",
        "after Yoon et al. 2019 (TimeGAN)",
    ),
    "predictive": Explanation(
        "Predictive score",
        "How far a recurrent network that learnt from synthetic windows is off when it tells the next step of real "
        "ones, as a share of the channel's range; compare with one that learnt from real windows.",
        "after Yoon et al. 2019 (TimeGAN)",
    ),
    "marginal_error": Explanation(
        "Marginal error",
        "How far the distribution of each channel's values is off, averaged over channels: 0 % is a perfect match.",
        "Kolmogorov–Smirnov distance",
    ),
    "tail_error": Explanation(
        "Tail error",
        "How far the most extreme values are off: the quantiles at 1, 5, 95 and 99 %, in standard deviations of the "
        "real channel.",
        "difference of quantiles",
    ),
    "memory_error": Explanation(
        "Memory error",
        "How far the autocorrelations at lags 1 to 10 are off, as a root mean square: do the samples remember their "
        "past as long as real series do?",
        "difference of autocorrelations",
    ),
    "cross_error": Explanation(
        "Cross-correlation error",
        "How far the correlations between channels at the same step are off, as a root mean square over pairs.",
        "difference of correlations",
    ),
    "clustering_error": Explanation(
        "Volatility clustering",
        "How far the autocorrelation of absolute returns is off: in real prices large moves follow large moves.",
        "Cont 2001, facts 1 and 6",
    ),
    "leverage_error": Explanation(
        "Leverage effect",
        "How far the correlation of a return with the squared return after it is off: real prices move more after a "
        "fall.",
        "Cont 2001, fact 9",
    ),
    "drawdown_error": Explanation(
        "Drawdown",
        "How far the mean largest fall within a window is off, as a share of the price.",
        "difference of means",
    ),
    "ngram_divergence": Explanation(
        "N-gram divergence",
        "How different the counts of runs of 1 to 4 characters are from those of real text, as a Jensen–Shannon "
        "divergence in bits: 0 is identical, 1 is nothing in common.",
        "Lin 1991",
    ),
    "copied": Explanation(
        "Copied from training",
        "The share of samples that are, exactly, a training example; short or common examples may recur by right, "
        "so compare with held-out data. It is a warning and not ranked.",
        "exact match",
        ranked=False,
    ),
    "copied_by_chance": Explanation(
        "Copied by chance",
        "The share of samples that are, exactly, a held-out example, times as many as there are training examples for "
        "each of those. No model has seen these, so this is what copying comes to without learning by heart: only what "
        "is copied from training beyond it is. It is not ranked.",
        "exact match",
        ranked=False,
    ),
    "unique": Explanation(
        "Unique",
        "The share of samples that differ from each other; a low share means the model repeats itself.",
        "exact match",
    ),
    "distinct": Explanation(
        "Distinct 4-grams",
        "Different runs of four characters over all of them; it falls as text repeats itself, and as there is more of "
        "it. Compare with held-out text: more than it has is no virtue, so it is not ranked.",
        "distinct-n: Li et al. 2016",
        ranked=False,
    ),
    "self_bleu": Explanation(
        "Self-BLEU",
        "How well each sample is foretold by the others, as BLEU-4: 1 is one sample again and again. Held-out text "
        "shows what is natural; far below it is nonsense, so it is not ranked.",
        "Zhu et al. 2018",
        ranked=False,
    ),
    "longest_copied": Explanation(
        "Longest run copied",
        "The longest run of characters of a sample that stands in training text too, on average. Held-out text shows "
        "what common phrases make; much more than that is learning by heart. It is a warning and not ranked.",
        "longest common substring",
        ranked=False,
    ),
    "known_words": Explanation(
        "Known words",
        "The share of words that stand somewhere in the training text: are these words at all? Held-out text does not "
        "reach 100 % either, and one word again and again does, so it is not ranked.",
        "exact match of words",
        ranked=False,
    ),
    "modes": Explanation(
        "Modes covered",
        "How many of the known clusters received at least one sample of high quality.",
        "Lin et al. 2018 (PacGAN)",
    ),
    "high_quality": Explanation(
        "High quality",
        "The share of samples within three standard deviations of a known cluster centre.",
        "Lin et al. 2018 (PacGAN)",
    ),
    "usefulness": Explanation(
        "Usefulness",
        "How well a predictor trained only on the samples does on real held-out data; compare with the same "
        "predictor trained on real data.",
        "Esteban et al. 2017, train on synthetic, test on real",
    ),
    "log_likelihood": Explanation(
        "Log-likelihood bound",
        "A lower bound on how likely the model finds held-out data, in nats per example; bounds of different "
        "families differ in how tight they are, so a small gap proves little.",
        "Kingma and Welling 2014; Burda et al. 2016",
    ),
    "bits": Explanation(
        "Bits of held-out data",
        "An upper bound on the bits the model needs to store one number or symbol of held-out data, of text one "
        "character, ends of lines counted. It is exact for "
        "diffusion and flow on numbers, and a bound for the others, so a small gap proves little. Pixels count as "
        "their 256 levels; other numbers as densities, which can be below zero.",
        "Theis et al. 2016",
    ),
}


REFERENCES = {
    "held-out": "Real examples that no model saw: about the best that a model can be expected to score.",
    "training": (
        "The training examples themselves, handed in as samples: perfect likeness and nothing new. "
        "Where this row is best, a model can score well by copying."
    ),
    "counting": (
        "Text of a model that has only counted which characters follow which in training text. A model of text whose "
        "row is no better has learnt no more than that."
    ),
    "representation": (
        "The same held-out recordings, turned into what models see and back: no model can be expected to sound better."
    ),
    "column": (
        "Training rows with each column shuffled on its own: every column right by itself, no relation between them. "
        "Where this row is good, the metric does not see relations."
    ),
}
"""A word in the name of a reference -> what the reference is for."""


def explain_reference(name: str) -> str:
    """What a row of real data is there for."""
    found = (text for word, text in REFERENCES.items() if word in name.lower())
    return next(found, "Real data, shown to compare with; not a model.")


METRICS["bound"] = METRICS["bits"]


def explain(metric: str) -> Explanation:
    """The explanation of a metric, ``of one label`` after a colon; of one not listed, a title made from its name."""
    if metric in METRICS:
        return METRICS[metric]
    general, _, label = metric.partition(":")
    if label and general in METRICS:
        return replace(METRICS[general], title=f"{METRICS[general].title}: {label}")
    return Explanation(metric.replace("_", " ").strip().capitalize() or metric, "")
