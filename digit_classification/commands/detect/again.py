"""The pictures of a stored run of numbers or forms, seen again as they were for its review page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from digit_classification.detection.reading import ReadingOptions, pictures_again
from digit_classification.detection.session import reads_forms, reads_numbers
from digit_classification.network.model_file import Model, ModelError
from digit_classification.pictures.forms.template import TemplateError
from digit_classification.pictures.prepare import Prepared
from digit_classification.pictures.sources import Source
from digit_classification.results.records import Run
from digit_classification.settings import DetectionSettings, Settings


def numbers_again(
    run: Run, settings: Settings, load: Callable[[], Model]
) -> Callable[[Iterable[Source]], Iterator[Prepared]] | None:
    """Return what sees the pictures of a run again; None if the run read single digits.

    What the network saw of each digit is not stored, and depends on the cuts that were chosen: so
    the model of the run is needed once more, which `load` returns; and its template, which may lie
    elsewhere by now: where `settings` say.

    Raises ModelError or TemplateError if that is another model or template.
    """
    if not (reads_numbers(run) or reads_forms(run)):
        return None
    model = load()
    if model.sha256 != run.info.model_sha256:
        raise ModelError(
            f"Run {run.info.id} was made with another model, '{run.info.model_path}' with the"
            f" SHA-256 {(run.info.model_sha256 or 'unknown')[:12]}…, not {model.sha256[:12]}…: its"
            " review page needs that one, name it with --model."
        )
    known = run.info.settings["detection"].items()
    detection = DetectionSettings.model_validate(
        {key: value for key, value in known if key in DetectionSettings.model_fields}
    )
    if detection.template is not None and settings.detection.template is not None:
        detection = detection.model_copy(update={"template": settings.detection.template})
    then = settings.model_copy(update={"detection": detection})
    options = ReadingOptions.of(then, with_thumbnails=True, with_pixels=True)
    template = run.info.settings.get("template") or {}
    if options.template is not None and options.template.sha256 != template.get("sha256"):
        raise TemplateError(
            f"Run {run.info.id} read its forms with another template than '{detection.template}' is"
            " by now: name that one with --template."
        )
    return partial(pictures_again, model=model, options=options, workers=settings.detection.workers)
