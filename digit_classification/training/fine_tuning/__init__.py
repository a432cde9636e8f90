"""A trained model, adapted to a person's own pictures: to a hand, a pen, a form that it misreads.

From nothing, 50 to 500 pictures would teach little.  A trained model knows digits; it learns the
pictures beside digits of other hands and simulated pictures, which are repeated lest it forget them
(rehearsal: Robins 1995, "Catastrophic Forgetting, Rehearsal and Pseudorehearsal").
"""

from digit_classification.training.fine_tuning.own import Labelled, of_corrections, of_dataset
from digit_classification.training.fine_tuning.tuning import fine_tune

__all__ = ["Labelled", "fine_tune", "of_corrections", "of_dataset"]
