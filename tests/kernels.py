"""The kernels of OpenBLAS that this processor can run; `make test-kernels` asks for the newest.

OPENBLAS_CORETYPE in the environment makes NumPy's OpenBLAS compute with one of them.  It trusts
that name: a kernel that the processor is too old for would end the program.
"""

from __future__ import annotations

import sys

import numpy as np

# Those of x86-64 that differ in their products, the oldest first, with what they need, as NumPy
# calls it.
NEEDED = {
    "Prescott": set[str](),
    "Sandybridge": {"AVX"},
    "Haswell": {"AVX2", "FMA3"},
    "Zen": {"AVX2", "FMA3"},
    "SkylakeX": {"AVX512_SKX"},
}

# For NPY_DISABLE_CPU_FEATURES: NumPy's own loops as the oldest processors of x86-64 have them.
BEYOND_BASELINE = "SSSE3 SSE41 POPCNT SSE42 AVX F16C FMA3 AVX2 AVX512F AVX512_SKX AVX512_ICL"


def kernels() -> list[str]:
    """Return the names, the oldest first; on other processors than x86-64 there are none."""
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    if "SSE3" not in simd["baseline"]:
        return []
    return [name for name, needed in NEEDED.items() if needed <= set(simd["found"])]


if __name__ == "__main__":
    print(*kernels()[-int(sys.argv[1]) :])
