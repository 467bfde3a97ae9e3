"""What bases say by where they stand, without a network: of sequences that are aligned it may be nearly all."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from genomic_lens.data import one_hot


def flat_one_hot(sequences) -> np.ndarray:
    """Each base at each position as a column of its own."""
    return np.stack([one_hot(sequence).ravel() for sequence in sequences])


def position_regression() -> Pipeline:
    """Logistic regression on them; sequences have one length."""
    return make_pipeline(FunctionTransformer(flat_one_hot), LogisticRegression(C=0.03, max_iter=2000))
