"""The server of --serve: what it answers, what it refuses, what it stores, and how it ends."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

import digit_classification_detector as detector
from digit_classification.results.database import ResultsDatabase
from digit_classification.serving import requests
from tests.documents import ROOT
from tests.drawing import draw_digit, png
from tests.serving.running import FORM, Server, form, running

SAMPLES = ROOT / "samples"
PICTURE = (SAMPLES / "8-squared-paper.jpg").read_bytes()


@pytest.fixture(scope="module")
def server(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serving")
    with running(trained, folder) as server:
        yield server
        code, output, messages = server.stop()
        assert (code, output) == (130, "")
        assert messages == (
            "Nothing is stored, as --database is not given. Ctrl-C ends the server.\nInterrupted.\n"
        )
        assert [*folder.iterdir()] == [], "it writes nothing"


def records_of_the_detector(model: Path, tmp_path: Path, *options: str) -> list[dict[str, object]]:
    output = tmp_path / "of-the-detector.jsonl"
    words = [str(SAMPLES), "--database", "none", "--quiet", "--output", str(output)]
    assert detector.main([*words, "--model", str(model), *options]) == 1  # some show no digit
    return [json.loads(line) for line in output.read_text().splitlines()]


# ------------------------------------------------------------------------------------ readings


@pytest.mark.parametrize("what", ["digit", "number"])
def test_the_records_are_those_of_json_lines(
    server: Server, trained: Path, tmp_path: Path, what: str
) -> None:
    expected = records_of_the_detector(trained, tmp_path, "--read", what)
    paths = [str(record["path"]) for record in expected]
    pictures = [(path, Path(path).read_bytes()) for path in paths]
    status, several, headers = server.ask(
        "POST", f"/predict?read={what}", form(*pictures), Content_Type=FORM
    )
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert several == expected
    name, content = pictures[0]
    _, one, _ = server.ask("POST", f"/predict?read={what}&name={name}", content)
    assert one == expected[0]


def test_a_photo_of_a_phone_is_read_and_a_pdf_told_what_to_do(server: Server) -> None:
    register_heif_opener()
    answers = []
    for kind in ("HEIF", "PDF"):
        stream = io.BytesIO()
        with Image.open(io.BytesIO(PICTURE)) as picture:
            picture.save(stream, kind)
        answers.append(server.ask("POST", "/predict", stream.getvalue())[1])
    photo, page = answers
    assert (photo["digit"], photo["status"]) == (8, "ok")
    assert page["reason"] == "a PDF is no picture: read its pages with --read form"


def test_what_is_no_picture_is_a_result_and_no_refusal(server: Server) -> None:
    status, record, _ = server.ask("POST", "/predict", b"no picture", Content_Type="image/png")
    assert status == 200
    assert record == {
        "path": "-",
        "digit": None,
        "confidence": None,
        "status": "error",
        "reason": "not an image, or of an unknown format",
        "probabilities": None,
    }


def test_a_picture_of_more_pixels_than_allowed_is_not_unpacked(
    trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "few.yaml").write_text("images:\n  max_pixels: 1000\n")
    with running(trained, tmp_path, "--config", "few.yaml") as server:
        _, record, _ = server.ask("POST", "/predict", png(np.zeros((40, 40), np.uint8)))
    assert (record["status"], record["reason"]) == ("error", "40x40: more than 1,000 pixels")


def test_names_in_forms_are_as_browsers_escape_them(server: Server) -> None:
    names = {"é 7.png": "é 7.png", "a%22b%0D%0A.png": 'a"b\r\n.png', "50%.png": "50%.png"}
    names |= {"../../etc/passwd": "../../etc/passwd", "": "-"}
    body = form(*((name, PICTURE) for name in names))
    _, records, _ = server.ask("POST", "/predict", body, Content_Type=FORM)
    assert [record["path"] for record in records] == [*names.values()]
    assert {record["digit"] for record in records} == {8}


def test_a_connection_takes_one_question_after_the_other(server: Server) -> None:
    head = f"Host: 127.0.0.1:{server.port}\r\n"
    post = f"POST /predict HTTP/1.1\r\n{head}Content-Length: {len(PICTURE)}\r\n\r\n".encode()
    heard = server.say(2 * (post + PICTURE) + f"GET / HTTP/1.1\r\n{head}\r\n".encode())
    assert heard.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert heard.count(b'"digit": 8') == 2
    assert heard.endswith(b"</html>\n")


def test_a_long_body_is_waited_for_only_if_it_is_wanted(server: Server) -> None:
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nExpect: 100-continue\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(f"{head}Content-Length: {len(PICTURE)}\r\n\r\n".encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(PICTURE)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
    refused = server.say(f"{head}Content-Length: {10**12}\r\n\r\n".encode())
    assert refused.startswith(b"HTTP/1.1 413 ")


def test_what_the_page_shows_is_what_the_detector_saw(
    server: Server, trained: Path, tmp_path: Path
) -> None:
    words = [SAMPLES / "2-form-box.jpg", "--model", trained, "--database", "none"]
    words += ["--save-normalized", tmp_path / "seen"]
    assert detector.main([*map(str, words)]) == 0
    (seen,) = (tmp_path / "seen").iterdir()
    body = (SAMPLES / "2-form-box.jpg").read_bytes()
    _, shown, _ = server.ask("POST", "/look", body)
    with Image.open(seen) as picture:
        pixels = picture.tobytes()
    assert base64.b64decode(shown["seen"]) == pixels
    first = shown["ways"][0]
    assert (first["seen"], first["digit"]) == (shown["seen"], shown["result"]["digit"])
    weights = [way["weight"] for way in shown["ways"]]
    assert weights == sorted(weights, reverse=True)
    assert shown["row"]["digit"] == shown["result"]["digit"] == 2
    assert shown["run"] is None
    with Image.open(io.BytesIO(base64.b64decode(shown["thumbnail"]))) as thumbnail:
        assert max(thumbnail.size) == 96


# ------------------------------------------------------------------------------------- refusals


def test_another_host_or_page_may_not_ask(server: Server) -> None:
    here = f"http://127.0.0.1:{server.port}/"
    for method, target in (("GET", "/"), ("GET", "/page.js"), ("POST", "/predict")):
        body = PICTURE if method == "POST" else None
        for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1", "127.0.0.1:1"):
            assert server.refusal(method, target, body, Host=host) == (
                403,
                f"The host '{host}' is not this one: ask {here}.",
            )
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
            assert server.refusal(method, target, body, Origin=origin) == (
                403,
                f"A page of '{origin}' may not ask here: open {here}.",
            )
    for name in ("127.0.0.1", "localhost"):
        host = f"{name}:{server.port}"
        status, _, _ = server.ask("POST", "/predict", PICTURE, Host=host, Origin=f"http://{host}")
        assert status == 200


def test_there_is_nothing_but_the_page_and_the_readings(server: Server) -> None:
    for target in ("/etc/passwd", "/../server.py", "/page/page.css", "/page.html", "/%2e%2e/"):
        status, sentence = server.refusal("GET", target)
        assert status == 404
        assert sentence.endswith("': the page is at /, and pictures are read at /predict.")
    head = f"Host: 127.0.0.1:{server.port}\r\n\r\n"
    heard = server.say(f"GET /x\x1b HTTP/1.1\r\n{head}".encode())
    sentence = json.loads(heard.partition(b"\r\n\r\n")[2])["error"]
    assert sentence.startswith("There is nothing at '/x\\x1b': "), "as a terminal can show it"


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        *[(method, "/predict", "POST") for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")],
        *[(method, "/page.css", "GET, HEAD") for method in ("POST", "PATCH")],
    ],
)
def test_a_method_that_is_not_taken_is_told_which_is(
    server: Server, method: str, target: str, allowed: str
) -> None:
    status, content, headers = server.ask(method, target, b"x" if method == "POST" else None)
    assert (status, headers["Allow"]) == (405, allowed)
    sentence = (
        f"{method} is not possible at {target}: send pictures to /predict with POST, and fetch the "
        "page at / with GET."
    )
    assert content == ({"error": sentence} if method != "HEAD" else b"")


def test_an_unknown_method_is_refused_in_json(server: Server) -> None:
    heard = server.say(f"BREW / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    assert heard.startswith(b"HTTP/1.1 501 ")
    assert json.loads(heard.partition(b"\r\n\r\n")[2]) == {
        "error": "The request is not understood, Unsupported method ('BREW'): ask as browsers and "
        "curl do."
    }


NO_LENGTH = "The request does not say how long it is: send Content-Length, and no chunks."


@pytest.mark.parametrize(
    ("headers", "status", "sentence"),
    [
        ("", 411, NO_LENGTH),
        ("Transfer-Encoding: chunked\r\n", 411, NO_LENGTH),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 411, NO_LENGTH),
        (
            "Content-Length: -3\r\n",
            400,
            "The Content-Length '-3' is no number: send the number of bytes.",
        ),
        (
            "Content-Length: 536870913\r\n",
            413,
            "536,870,913 bytes are more than the 536,870,912 that are read: send smaller pictures, "
            "or fewer at a time.",
        ),
        (
            "Content-Length: 30\r\n",
            400,
            "The request ended before its 30 bytes had come: send it again.",
        ),
    ],
)
def test_a_body_has_a_length_within_bounds(
    server: Server, headers: str, status: int, sentence: str
) -> None:
    start = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{headers}\r\nabc"
    head, _, body = server.say(start.encode()).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nConnection: close" in head
    assert json.loads(body) == {"error": sentence}


def test_an_empty_body_is_refused(server: Server) -> None:
    assert server.refusal("POST", "/predict", b"") == (
        400,
        "The request is empty: send the bytes of a picture.",
    )


def test_a_refusal_reaches_who_still_sends(server: Server) -> None:
    """Megabytes behind a refused head must not make the system break the connection first."""
    status, sentence = server.refusal(
        "POST", "/predict", bytes(20_000_000), Origin="https://evil.example"
    )
    assert (status, sentence[:9]) == (403, "A page of")


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain; charset=utf-8", "multipart/mixed"]
)
def test_a_type_that_holds_no_picture_is_refused(server: Server, kind: str) -> None:
    assert server.refusal("POST", "/predict", PICTURE, Content_Type=kind) == (
        415,
        f"'{kind.partition(';')[0]}' is no picture: send one as image/png or "
        "application/octet-stream, or several as multipart/form-data.",
    )


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("red=number", "'red' is nothing that can be asked for: ask for read or name."),
        ("read=letter", "'letter' cannot be read: ask for read=digit or read=number."),
    ],
)
def test_a_question_that_nobody_understands_is_refused(
    server: Server, question: str, sentence: str
) -> None:
    assert server.refusal("POST", f"/predict?{question}", PICTURE) == (400, sentence)


PROBLEMS = {
    "its Content-Type names no boundary": ("multipart/form-data", form(("a", b"b"))),
    "its boundary does not occur": ("multipart/form-data; boundary=other", form(("a", b"b"))),
    "it ends before its last boundary": (FORM, form(("a", b"b"))[:-10]),
    "a part has no end of its headers": (FORM, b"--x1y2\r\nabc\r\n--x1y2--\r\n"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_form_that_is_broken_is_refused(server: Server, problem: str) -> None:
    kind, body = PROBLEMS[problem]
    assert server.refusal("POST", "/predict", body, Content_Type=kind) == (
        400,
        f"The form cannot be taken apart, {problem}: send it as multipart/form-data, as browsers "
        "and curl -F do.",
    )


def test_a_form_has_some_pictures_and_not_too_many(server: Server) -> None:
    assert server.refusal("POST", "/predict", form(), Content_Type=FORM) == (
        400,
        "There is no picture in the form: add one as a file.",
    )
    many = form(*[("a", b"b")] * (requests.MAX_PICTURES + 1))
    assert server.refusal("POST", "/predict", many, Content_Type=FORM) == (
        413,
        "There are more than 1,000 pictures in the form: send fewer at a time.",
    )


def test_a_model_without_a_judge_reads_no_numbers(model: Path, tmp_path: Path) -> None:
    with running(model, tmp_path) as server:
        assert server.refusal("POST", "/predict?read=number", PICTURE) == (
            400,
            f"The model '{model}' has no judge, which numbers are read with: train one with the "
            "trainer, or leave out --read.",
        )
        assert b'data-numbers="no"' in server.ask("GET", "/")[1]
        _, shown, _ = server.ask("POST", "/look", png(draw_digit(3)))
        assert (shown["ways"], len(shown["row"])) == ([], 31)


# -------------------------------------------------------------------------------------- the page


def test_the_page_is_served_with_a_policy(server: Server) -> None:
    for target, kind in (("/", "html"), ("/page.css", "css"), ("/page.js", "javascript")):
        status, content, headers = server.ask("GET", target)
        assert (status, headers["Content-Type"]) == (200, f"text/{kind}; charset=utf-8")
        assert not re.search(rb"https?://", content), "nothing from elsewhere"
        assert headers["Content-Security-Policy"].startswith(
            "default-src 'none'; script-src 'self'"
        )
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        status, nothing, of_head = server.ask("HEAD", target)
        assert (status, nothing) == (200, b"")
        assert of_head["Content-Length"] == str(len(content))


# ------------------------------------------------------------------------- the database, the end


def test_nothing_is_stored_unless_the_command_line_names_a_database(
    trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text("database:\n  url: sqlite:///mine.db\n")
    with running(trained, tmp_path, "--config", "mine.yaml") as server:
        assert server.ask("POST", "/predict", PICTURE)[0] == 200
        assert b'data-stored=""' in server.ask("GET", "/")[1]
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_each_reading_is_a_row_of_the_run(database_url: str, trained: Path, tmp_path: Path) -> None:
    with running(trained, tmp_path, "--database", database_url) as server:
        _, first, _ = server.ask("POST", "/predict?name=8.jpg", PICTURE)
        pictures = [("8.jpg", PICTURE), ("no.png", b"none")]
        _, others, _ = server.ask("POST", "/predict", form(*pictures), Content_Type=FORM)
        _, looked, _ = server.ask("POST", "/look", PICTURE)
        _, stored, _ = server.ask("POST", "/look?store=yes&name=drawing.png", PICTURE)
        code, _, messages = server.stop(signal.SIGTERM if os.name == "posix" else signal.SIGINT)
    assert code == (143 if os.name == "posix" else 130)
    assert looked["result"]["path"] == "-"
    assert stored["result"]["path"] == "4/drawing.png"
    with ResultsDatabase.open(
        database_url, password=os.environ.get("DIGITS_DATABASE_PASSWORD")
    ) as database:
        (run,) = database.runs()
        rows = [row.as_result() for row in database.rows(run.info.id)]
    where = f"Readings are stored in {database_url}, run {run.info.id}."
    assert messages == f"{where} Ctrl-C ends the server.\nInterrupted.\n"
    assert (run.state, tuple(run.info.sources), looked["run"]) == (
        "finished",
        ("serve",),
        stored["run"],
    )
    assert [(row.path, row.status, row.digit) for row in rows] == [
        ("1/8.jpg", "ok", 8),
        ("2/8.jpg", "ok", 8),
        ("3/no.png", "error", None),
        ("4/drawing.png", "ok", 8),
    ]
    assert [first["path"], *(other["path"] for other in others)] == [row.path for row in rows[:3]]
    assert rows[0].file_name == "8.jpg"


def test_what_cannot_be_stored_is_refused_and_the_server_goes_on(
    trained: Path, tmp_path: Path
) -> None:
    with running(trained, tmp_path, "--database", "sqlite:///mine.db") as server:
        connection = sqlite3.connect(tmp_path / "mine.db")
        connection.execute("DROP TABLE classified_images")
        connection.commit()
        status, sentence = server.refusal("POST", "/predict", PICTURE)
        assert status == 503
        assert "no such table" in sentence
        assert server.ask("POST", "/look", PICTURE)[0] == 200
        connection.close()


def test_a_reading_in_progress_is_answered_before_the_end(trained: Path, tmp_path: Path) -> None:
    pictures = [(f"{i}.jpg", PICTURE) for i in range(100)]
    with running(trained, tmp_path) as server:
        body = form(*pictures)
        head = (
            f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: {FORM}\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            time.sleep(0.5)  # it is being read: that takes seconds
            server.process.send_signal(signal.SIGINT)
            heard = b"".join(iter(lambda: connection.recv(2**16), b""))
        assert heard.count(b'"digit": 8') == len(pictures)
        assert server.process.wait(20) == 130


# ------------------------------------------------------------------------------ the command line


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert detector.main([*map(str, words)]) == 2
    output, messages = capsys.readouterr()
    assert output == ""
    return messages


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["samples"], "the paths"),
        (["--output", "a.csv"], "--output"),
        (["--sort-into", "sorted"], "--sort-into"),
        (["--resume"], "--resume"),
        (["--dry-run"], "--dry-run"),
        (["--top-k", "3"], "--top-k"),
    ],
)
def test_the_server_is_for_what_is_sent_to_it(
    capsys: pytest.CaptureFixture[str], words: list[str], option: str
) -> None:
    assert refused(capsys, *words, "--serve") == (
        f"Error: --serve reads what is sent to it, and has no use for {option}: leave one of them "
        "out.\n"
    )


def test_a_port_that_is_taken_is_named(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refused(capsys, "--serve", port, "--model", trained)
    assert re.fullmatch(
        rf"Error: Port {port} cannot be listened on: .+: name another, such as --serve \d+\.\n",
        said,
    )


def test_a_port_is_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in ("eighty", "65536", "-1"):
        with pytest.raises(SystemExit) as ended:
            detector.main([f"--serve={wrong}"])
        assert ended.value.code == 2
        assert capsys.readouterr().err.endswith(f"'{wrong}' is no port, such as 8080\n")


def test_a_model_that_cannot_read_numbers_is_refused_at_once(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "--serve", "0", "--model", model, "--read", "number")
    assert said.startswith(f"Error: The model '{model}' has no judge")


def test_serving_needs_no_tensorflow(trained: Path, tmp_path: Path) -> None:
    code = (
        "import sys, digit_classification.commands.serve; "
        "sys.exit('tensorflow' in sys.modules or 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
