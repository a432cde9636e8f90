"""How the judge learns to tell one whole digit from everything else.

Pictures are drawn whose truth is known (`training/scenes`), what the detector would propose to see
in them is compared with that truth (`examples`, `labels`), with further marks that are no digits
(`marks`); a small network learns the difference (`learner`), and on pictures that it has not
learned from it is measured how often the detector's choice is right (`calibration`).
"""

from digit_classification.training.judging.training import JudgeTraining, train_judge

__all__ = ["JudgeTraining", "train_judge"]
