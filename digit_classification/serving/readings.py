"""Pictures that come one after the other -> readings, and their rows in the database.

One thread reads, that which opened the database: reading takes all of a core anyway, decoders keep
what they have to say for the whole process, and SQLite wants to be spoken to by one thread.
"""

from __future__ import annotations

import base64
import io
import queue
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import numpy as np
from PIL import Image

from digit_classification.cli.interruption import asking_first
from digit_classification.detection.reading import ReadingOptions, results_of_each
from digit_classification.detection.session import Session
from digit_classification.detection.writers import json_record
from digit_classification.network.model_file import Model, ModelError
from digit_classification.pictures.prepare import Prepared, prepare_many
from digit_classification.pictures.sources import Source
from digit_classification.results.errors import DatabaseError
from digit_classification.results.records import (
    RESULT_COLUMNS,
    Result,
    now,
    result_values,
    text_time,
)
from digit_classification.serving.requests import UNNAMED, Refused, SentPicture, What

WAYS = 8  # that are shown of those that a picture was seen in
_LOOK = 0.5  # seconds after which Windows has a look whether Ctrl-C was pressed
_SAYING = 1.0  # seconds in which the last answers are sent


@dataclass(frozen=True)
class Question:
    """Pictures to be read, and what should come of them."""

    pictures: Sequence[SentPicture]
    read: What | None  # None: what the settings say
    store: bool
    with_images: bool = False  # what a page shows beside the results
    answer: Future[list[dict[str, Any]]] = field(default_factory=Future)
    sent: Future[None] = field(default_factory=Future)  # once whoever asked has the answer


class Readings:
    """Reads the pictures of one question after the other, and stores their results in a run.

    Without a run that is in a database nothing is stored.
    """

    def __init__(self, model: Model, options: ReadingOptions, session: Session) -> None:
        self.model = model
        self.options = options
        self._session = session
        self._stored = 0  # pictures, whose number makes their paths differ
        self._questions: queue.SimpleQueue[Question | int] = queue.SimpleQueue()

    @property
    def run_id(self) -> str | None:
        """The run in the database, once that is open; None if nothing is stored."""
        return self._session.run_id

    def warm_up(self) -> None:
        """Read a picture for nobody, so that the first that counts finds everything loaded."""
        stream = io.BytesIO()
        picture = Image.new("RGB", (100, 100), "white")
        picture.paste("black", (45, 20, 55, 80))
        picture.save(stream, "PNG")
        sent = [SentPicture(UNNAMED, stream.getvalue())]
        self._read(Question(sent, read=None, store=False, with_images=True))

    def ask(self, question: Question) -> list[dict[str, Any]]:
        """Return what is known of each picture, in order, once all are read and stored.

        Raises Refused if they cannot be.
        """
        self._questions.put(question)
        return question.answer.result()

    def answer_all(self, tell: Callable[[str], None]) -> int:
        """Answer questions until a signal comes, and return its number; tell what went wrong.

        A question that is being answered then gets its answer, the others a refusal.
        """
        answered: list[Question] = []
        with asking_first(self._questions.put):  # which alone of queues a signal may put into
            while not isinstance(question := self._next(), int):
                self._answer(question, tell)
                answered = [question]
        while not self._questions.empty():
            late = self._questions.get()
            if isinstance(late, Question):
                late.answer.set_exception(
                    Refused(
                        "The server is ending: start it again, and ask again.",
                        HTTPStatus.SERVICE_UNAVAILABLE,
                    )
                )
                answered.append(late)
        deadline = time.monotonic() + _SAYING
        while time.monotonic() < deadline and not all(each.sent.done() for each in answered):
            time.sleep(0.01)
        return question

    def _next(self) -> Question | int:
        while True:
            try:
                return self._questions.get(timeout=_LOOK)
            except queue.Empty:
                pass

    def _answer(self, question: Question, tell: Callable[[str], None]) -> None:
        try:
            question.answer.set_result(self._read(question))
        except Refused as refused:
            question.answer.set_exception(refused)
        except DatabaseError as error:
            tell(f"Error: {error}")
            question.answer.set_exception(Refused(str(error), HTTPStatus.SERVICE_UNAVAILABLE))
        except Exception as error:  # one picture must not end the service of all others
            tell(traceback.format_exc())
            question.answer.set_exception(
                Refused(
                    f"The program failed, which is its own fault, with {type(error).__name__}: "
                    "report what it printed, with the picture.",
                    HTTPStatus.INTERNAL_SERVER_ERROR,
                )
            )

    def _read(self, question: Question) -> list[dict[str, Any]]:
        options = replace(self.options, read=question.read or self.options.read)
        if options.of_numbers:
            try:
                self.model.check_reads_numbers()
            except ModelError as error:
                raise Refused(str(error), HTTPStatus.BAD_REQUEST) from None
        is_stored = question.store and self.run_id is not None
        prepared = prepare_many(
            [self._source(picture, is_stored=is_stored) for picture in question.pictures],
            options.invert,
            options.limits,
            thumbnail=question.with_images,
            proposing=self.model.judge is not None,
            whole=options.of_numbers,
        )
        judged = results_of_each(prepared, self.model.network, self.model.judge, options)
        read = [(picture, result) for picture, results in judged for result in results]
        if is_stored:
            self._session.store([result for _, result in read])
        return [
            _shown(picture, result, numbers=options.of_numbers, run_id=self.run_id)
            if question.with_images
            else json_record(result, numbers=options.of_numbers)
            for picture, result in read
        ]

    def _source(self, picture: SentPicture, *, is_stored: bool) -> Source:
        """Return a picture with its path in the results: in a run, each has one of its own."""
        name = picture.name
        if is_stored:
            self._stored += 1
            name = f"{self._stored}/{name}"
        return Source(name=name, path="", explicit=True, content=picture.content)


def _shown(
    picture: Prepared, result: Result, *, numbers: bool, run_id: str | None
) -> dict[str, Any]:
    """Return a result with what the page shows beside it; pixels are 28x28 bytes in base64."""
    values = result_values(text_time(now()), result)
    return {
        "result": json_record(result, numbers=numbers),
        "seen": _base64(picture.digit),
        "signs": [_base64(sign) for sign in picture.signs],
        "ways": [
            {"seen": _base64(way.image), "box": way.box, "digit": way.digit, "weight": way.weight}
            for way in picture.compared[:WAYS]
        ],
        "compared": len(picture.compared),
        "thumbnail": None if picture.thumbnail is None else _base64(picture.thumbnail),
        "row": dict(zip(RESULT_COLUMNS, values, strict=True)),
        "run": run_id,
    }


def _base64(content: np.ndarray | bytes | None) -> str | None:
    if content is None:
        return None
    data = content.tobytes() if isinstance(content, np.ndarray) else content
    return base64.b64encode(data).decode()
