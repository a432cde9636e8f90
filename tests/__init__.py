"""The tests compute as the scripts do: sums on several threads are rounded in another way."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
