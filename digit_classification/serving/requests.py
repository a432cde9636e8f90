"""What is asked of the server: checked, refused, or taken apart into pictures.

The server listens on this machine only, but any page that a person has open can send requests
there.  A browser says from which page in `Origin`, and which name led here in `Host`: a page of
another site is told by the first, a name that was pointed at 127.0.0.1 (DNS rebinding) by the
second.  Programs that are no browsers send no `Origin`.
"""

from __future__ import annotations

import email.parser
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import Literal, cast, get_args
from urllib.parse import parse_qsl, unquote

from digit_classification.names import printable
from digit_classification.pictures.sources import MAX_FILE_BYTES

MAX_BODY_BYTES = MAX_FILE_BYTES  # as many as a file may have
MAX_PICTURES = 1000  # of one request
UNNAMED = "-"  # as a piped picture is called
_QUESTIONS = ("read", "name", "store")
# curl calls whatever it sends with --data-binary a form.
_ONE_PICTURE = re.compile(
    r"image/.+|application/octet-stream|application/x-www-form-urlencoded|", re.IGNORECASE
)
_SEVERAL = "multipart/form-data"
_MOST_HEADERS = 8192  # bytes, of one part

What = Literal["digit", "number"]


class Refused(Exception):  # it is no error of the program
    """Why a request is not answered: one sentence for whoever sent it, with the status."""

    def __init__(self, sentence: str, status: HTTPStatus) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class SentPicture:
    name: str  # as its sender calls it
    content: bytes


@dataclass(frozen=True)
class Wanted:
    """What the question behind the path asks for."""

    read: What | None  # None: what the settings say
    name: str  # of a picture that is sent alone
    store: bool  # a reading that would only be shown


def addresses(port: int) -> tuple[str, ...]:
    """Return the names under which the server may be asked, the first of them for people."""
    names = tuple(f"{host}:{port}" for host in ("127.0.0.1", "localhost"))
    return names if port != 80 else ("127.0.0.1", "localhost", *names)


def check_sender(headers: Message, port: int) -> None:
    """Refuse what another site's page asks, and what was meant for another name."""
    known = addresses(port)
    host = headers.get("Host", "")
    if host.lower() not in known:
        raise Refused(
            f"The host '{printable(host)}' is not this one: ask http://{known[0]}/.",
            HTTPStatus.FORBIDDEN,
        )
    origin = headers.get("Origin")
    if origin is not None and origin.lower() not in {f"http://{name}" for name in known}:
        raise Refused(
            f"A page of '{printable(origin)}' may not ask here: open http://{known[0]}/.",
            HTTPStatus.FORBIDDEN,
        )


def body_length(headers: Message) -> int:
    """Return how many bytes follow; refuse a body that does not say so, or is too long."""
    length = headers.get("Content-Length")
    if length is None or "Transfer-Encoding" in headers:
        raise Refused(
            "The request does not say how long it is: send Content-Length, and no chunks.",
            HTTPStatus.LENGTH_REQUIRED,
        )
    if not re.fullmatch("[0-9]{1,18}", length):
        raise Refused(
            f"The Content-Length '{printable(length)}' is no number: send the number of bytes.",
            HTTPStatus.BAD_REQUEST,
        )
    if int(length) > MAX_BODY_BYTES:
        raise Refused(
            f"{int(length):,} bytes are more than the {MAX_BODY_BYTES:,} that are read: send "
            "smaller pictures, or fewer at a time.",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )
    if not int(length):
        raise Refused("The request is empty: send the bytes of a picture.", HTTPStatus.BAD_REQUEST)
    return int(length)


def holds_several(headers: Message) -> bool:
    """Whether a body is a form with pictures, and not one picture; refuse what is neither."""
    sent = headers.get("Content-Type", "").partition(";")[0].strip()
    if sent.lower() == _SEVERAL:
        return True
    if not _ONE_PICTURE.fullmatch(sent):
        raise Refused(
            f"'{printable(sent)}' is no picture: send one as image/png or "
            f"application/octet-stream, or several as {_SEVERAL}.",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    return False


def what_is_wanted(question: str) -> Wanted:
    """Take the question apart, as `read=number&name=7.png`; refuse what nobody understands."""
    asked = dict(parse_qsl(question, keep_blank_values=True))
    for key in asked:
        if key not in _QUESTIONS:
            raise Refused(
                f"'{printable(key)}' is nothing that can be asked for: ask for read or name.",
                HTTPStatus.BAD_REQUEST,
            )
    read = asked.get("read")
    if read is not None and read not in get_args(What):
        raise Refused(
            f"'{printable(read)}' cannot be read: ask for read=digit or read=number.",
            HTTPStatus.BAD_REQUEST,
        )
    return Wanted(cast("What | None", read), asked.get("name") or UNNAMED, "store" in asked)


def pictures_of_form(body: bytes, content_type: str) -> list[SentPicture]:
    """Return the pictures of a form, in order; fields without a file name are pictures, too.

    Python's own parser of messages would hold the body several times over, as text.
    """
    pictures: list[SentPicture] = []
    for head, content in _parts(body, content_type):
        if len(pictures) == MAX_PICTURES:
            raise Refused(
                f"There are more than {MAX_PICTURES:,} pictures in the form: send fewer at a time.",
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            )
        pictures.append(SentPicture(_file_name(head), content))
    if not pictures:
        raise Refused("There is no picture in the form: add one as a file.", HTTPStatus.BAD_REQUEST)
    return pictures


def _parts(body: bytes, content_type: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the headers and the content of each part (RFC 2046, section 5.1.1)."""
    boundary = _header(f"Content-Type: {content_type}\n\n").get_boundary()
    if not boundary:
        raise _broken("its Content-Type names no boundary")
    mark = b"\r\n--" + boundary.encode("latin-1", "replace")
    if body.startswith(mark[2:]):
        end = len(mark) - 2
    elif (found := body.find(mark)) >= 0:  # what comes before the first is for nobody
        end = found + len(mark)
    else:
        raise _broken("its boundary does not occur")
    while body[end : end + 2] != b"--":
        begin = body.find(b"\r\n", end)
        stop = body.find(mark, begin)
        middle = body.find(b"\r\n\r\n", begin, begin + _MOST_HEADERS)
        if begin < 0 or stop < 0:
            raise _broken("it ends before its last boundary")
        if not begin <= middle < stop:
            raise _broken("a part has no end of its headers")
        yield body[begin + 2 : middle], body[middle + 4 : stop]
        end = stop + len(mark)


def _broken(problem: str) -> Refused:
    return Refused(
        f"The form cannot be taken apart, {problem}: send it as {_SEVERAL}, as browsers and curl "
        "-F do.",
        HTTPStatus.BAD_REQUEST,
    )


def _file_name(head: bytes) -> str:
    """Return the file name of a part, or else that of its field.

    Browsers write it as UTF-8, with quotation marks and line ends escaped (HTML 4.10.22.8).
    """
    headers = _header(head.decode("utf-8", "replace"))
    name = headers.get_param("filename", header="content-disposition")
    if isinstance(name, str):
        return re.sub("%(0A|0D|22)", lambda match: unquote(match[0]), name) or UNNAMED
    field = headers.get_param("name", header="content-disposition")
    return field if isinstance(field, str) and field else UNNAMED


def _header(text: str) -> Message:
    return email.parser.Parser().parsestr(text, headersonly=True)
