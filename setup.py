"""Where the parts of the package are; all else about it is in pyproject.toml.

An installed package has the bundled MNIST in it, which in a checkout is beside it: a mapping that
pyproject.toml can give only with a list of all packages.
"""

from setuptools import find_namespace_packages, setup

DATASET = "digit_classification.dataset"

setup(
    packages=[*find_namespace_packages(include=["digit_classification*"]), DATASET],
    package_dir={DATASET: "dataset"},
    package_data={
        "": [
            "*.css",
            "*.html",
            "*.js",
            "*.json",
            "*.keras",
            "*.md",
            "*.png",
            "*.yaml",
            "*.zip",
            "SHA256SUMS",
        ],
    },
    exclude_package_data={DATASET: ["*.cache*"]},
)
