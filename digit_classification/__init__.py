"""What the trainer and the detector share: settings, pictures, datasets, model files, results."""

__version__ = "1.0.0"
