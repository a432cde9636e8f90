"""The options of the detector's command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from digit_classification.cli.command_line import CommandLine
from digit_classification.commands.detect.paths import ONE_BY_ONE
from digit_classification.config import add_setting
from digit_classification.detection.named_runs import LATEST
from digit_classification.detection.writers import FORMATS

RUNS = 20  # that --runs lists without a number
PORT = 8000  # of --serve without one

EXIT_STATUS = """\
exit status:
  0    all pictures are classified
  1    some are not: unreadable, or rejected because they show no single digit
  2    the command line, a setting or the model is wrong
  3    the database fails
  130  interrupted with Ctrl-C; what was classified until then is stored
  143  the same with SIGTERM, 129 with SIGHUP (a closed terminal)
  141  nobody reads the lines any more, as in `| head`, and nothing else was asked for
A run that stopped before its end prints the command that goes on with it.
"""


def build_parser() -> CommandLine:
    parser = CommandLine(
        "Read the digits in pictures, and store each result in a database.",
        exit_status=EXIT_STATUS,
        example="scans/ --format csv --output digits.csv",
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="picture, folder (with all below it), zip or pattern; - reads standard input: paths, "
        "one a line or each with a NUL behind it, or the bytes of one picture",
    )
    reading = parser.add_group("reading", example="photos/ --invert always --save-normalized seen")
    add_setting(reading, "--model", "model.path", metavar="FILE")
    add_setting(reading, "--read", "detection.read", metavar="digit|number|form")
    add_setting(reading, "--constraint", "detection.constraint", metavar="REGEX")
    add_setting(reading, "--template", "detection.template", type=Path, metavar="FILE")
    add_setting(reading, "--min-confidence", "detection.min_confidence", metavar="SHARE")
    add_setting(reading, "--invert", "detection.invert", metavar="auto|always|never")
    add_setting(reading, "--workers", "detection.workers", metavar="N")
    reading.add_argument(
        "--save-normalized",
        type=Path,
        metavar="DIR",
        help="write what the network sees, a 28x28 PNG for each picture, into the new folder DIR",
    )
    reading.add_argument(
        "--cluster",
        metavar="ADDRESS|local",
        help="read on the Ray cluster whose head is at ADDRESS, or on one that is started here",
    )
    reading.add_argument(
        "--make-template",
        type=Path,
        metavar="PICTURE",
        help="write a template of the form in PICTURE, with all its cells as fields, to the file "
        "of --output, or one beside you called like the picture; read nothing",
    )
    results = parser.add_group(
        "results", example="scans/ --database none --format jsonl --output -"
    )
    add_setting(results, "--database", "database.url", metavar="URL")
    results.add_argument(
        "--format",
        choices=FORMATS,
        help="print a line for each picture, or with --runs for each run, or each form as a table "
        "of rows and columns (default: what the name of --output ends in, or text; lines for up to "
        f"{ONE_BY_ONE} pictures named one by one)",
    )
    results.add_argument(
        "--output",
        metavar="FILE",
        help="write these lines to FILE; - is standard output; of forms, FILE.xlsx is a workbook",
    )
    results.add_argument(
        "--top-k",
        type=_up_to_ten,
        metavar="K",
        help="print a line for each picture, with its K most probable digits; not of numbers",
    )
    results.add_argument(
        "--labels",
        type=Path,
        metavar="CSV",
        help="compare with the right digits or numbers, from a CSV file with the columns path and "
        "digit: print how many are right, the confusion matrix of digits and the mistakes; with "
        "--show, of that run",
    )
    results.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write the review page, a new HTML file: the pictures, least certain first, to look "
        "through and to correct; with --show, of that run",
    )
    sorting = parser.add_group("sorting", example="scans/ --sort-into sorted")
    sorting.add_argument(
        "--sort-into",
        metavar="DIR",
        help="put a copy of each picture into the folder DIR/7 for a 7 and so on (DIR/4-digits for "
        "a number of four), DIR/uncertain or DIR/rejected; a copy that is there already is not "
        "made again",
    )
    sorting.add_argument(
        "--move",
        action="store_true",
        help="with --sort-into: move the pictures instead; what is in a zip is copied",
    )
    sorting.add_argument(
        "--hard-links",
        action="store_true",
        help="with --sort-into: instead of copies, second names of the same files where the file "
        "system can do that; a change to one is a change to both",
    )
    serving = parser.add_group("a page to draw on", example="--serve 8080 --model mine.keras")
    serving.add_argument(
        "--serve",
        nargs="?",
        const=PORT,
        type=_port,
        metavar="PORT",
        help="open a page on this machine to draw digits on and drop pictures on, which also reads "
        f"pictures for other programs; without PORT, at {PORT}; stores only with --database",
    )
    history = parser.add_group("earlier runs", example="--show latest --format csv")
    history.add_argument(
        "--resume",
        nargs="?",
        const=LATEST,
        metavar="RUN",
        help="go on with a run that stopped before its end; without RUN, with the latest such run",
    )
    history.add_argument(
        "--runs",
        nargs="?",
        const=RUNS,
        type=_number_of_runs,
        metavar="N",
        help=f"list the N newest of the stored runs; without N, {RUNS}",
    )
    history.add_argument(
        "--show",
        metavar="RUN",
        help="print the stored results of a run, named by the beginning of its name; `latest` is "
        "the last one",
    )
    history.add_argument(
        "--apply-corrections",
        type=Path,
        metavar="FILE",
        help="write what was corrected on a review page, and downloaded as FILE, to the stored "
        "results",
    )
    parser.add_general_options(
        dry_run="say what would be read and where results would go; read and store nothing",
        quiet="print neither progress nor summary",
        verbose="name every picture that has no digit, and print the settings",
    )
    return parser


def _number_of_runs(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of runs, such as 50")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port, such as 8080")
    return int(text)


def _up_to_ten(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 10")
    return int(text)
