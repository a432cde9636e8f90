"""Object stores: what lies at s3://, gs:// and az:// URLs, through obstore.

    s3://bucket/scans/7.png     gs://bucket/scans     az://container/scans

A URL is a scheme, a bucket (in Azure a container, of the account in AZURE_STORAGE_ACCOUNT_NAME)
and a key, each taken literally: `#`, `?` and `%` are characters like any other.  Credentials,
region and endpoint come from the environment, under the names that obstore has for them
(AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL, GOOGLE_SERVICE_ACCOUNT, …), and are in no message.

obstore rather than fsspec or pyarrow: those list a folder whole before they give its first name.
It is imported when the first URL is used, and only URLs travel to other processes.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

INSTALL = "pip install -r requirements-cluster.txt"
PAGE = 1_000  # keys: what a store gives at a time
# A store that is dead ends a request within some 20 seconds: after the last attempt that begins
# before RETRIES["retry_timeout"].
CLIENT = {"connect_timeout": "5s", "read_timeout": "10s", "timeout": "120s"}
RETRIES = {
    "max_retries": 10,
    "retry_timeout": timedelta(seconds=12),
    "backoff": {
        "init_backoff": timedelta(seconds=0.1),
        "max_backoff": timedelta(seconds=3),
        "base": 2,
    },
}
# Where an endpoint of one's own (MinIO, an emulator) is named, by scheme.
ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_SERVICE_ACCOUNT",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
# Codes with which S3 and Azure refuse credentials, rather than what they are used for.
REFUSED_CREDENTIALS = frozenset(
    (
        *("ExpiredToken", "InvalidAccessKeyId", "InvalidSecurity", "InvalidToken"),
        *("RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired"),
        *("AuthenticationFailed", "InvalidAuthenticationInfo"),
    )
)
METADATA_HOST = "169.254.169.254"  # asked for credentials on a cloud's own machines


class StoreError(Exception):
    """An object or a bucket cannot be had; the message is a short reason."""


class TooLarge(StoreError):
    """The object has more bytes than were allowed."""


class StoreUnavailable(StoreError):
    """The store itself cannot be used now, whichever object is asked for."""


class StoredObject(NamedTuple):
    """What a listing says of an object."""

    url: str
    size: int  # bytes


def split_url(url: str) -> tuple[str, str]:
    """Return the URL of the bucket and the key, which has no slash at its ends.

    Raises StoreError if there is no bucket in it.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", bucket):  # nor user:password@bucket
        raise StoreError(f"the URL should name a bucket, such as {scheme}://bucket/scans")
    return f"{scheme}://{bucket}", key.strip("/")


def list_url(url: str) -> Iterator[StoredObject]:
    """Yield the objects below `url`, page by page: the first before the listing has ended.

    Below s3://bucket/scans is s3://bucket/scans/7.png, and not s3://bucket/scans-2/7.png.

    Raises StoreError if they cannot be listed.
    """
    root, prefix = split_url(url)
    with reporting(root):
        for page in open_bucket(root).list(prefix or None, chunk_size=PAGE):
            for each in page:
                yield StoredObject(f"{root}/{each['path']}", each["size"])


def is_object(url: str) -> bool:
    """Whether there is an object of exactly this name; raises StoreError if that is unknown."""
    root, key = split_url(url)
    if not key:
        return False
    try:
        with reporting(root):
            open_bucket(root).head(key)
    except NotFound:
        return False
    return True


def read_url(url: str, at_most: int) -> bytes:
    """Return the content of an object of up to `at_most` bytes.

    Raises TooLarge, before anything of it is read, and StoreError.
    """
    root, key = split_url(url)
    with reporting(root):
        answer = open_bucket(root).get(key)
        if answer.meta["size"] > at_most:
            raise TooLarge(f"larger than {at_most >> 20} MiB")
        return bytes(answer.bytes())


def open_bucket(root: str) -> Any:
    """Return obstore's store for the URL of a bucket, the same one each time.

    Raises StoreUnavailable if obstore is missing, or a setting in the environment wrong.
    """
    return _open_bucket(root, os.getpid())


@functools.lru_cache(maxsize=16)
def _open_bucket(root: str, _process: int) -> Any:
    try:
        from obstore.store import from_url
    except ImportError:
        raise StoreUnavailable(f"it needs obstore ({INSTALL})") from None
    client = {**CLIENT, "allow_http": _plain_http(root.partition(":")[0])}
    with reporting(root):
        return from_url(root, client_options=client, retry_config=RETRIES)


def _plain_http(scheme: str) -> bool:
    """Whether the endpoint in the environment, if any, is one without TLS."""
    for variable in ENDPOINTS[scheme]:
        if endpoint := os.environ.get(variable):
            if not endpoint.startswith(("http://", "https://")):
                raise StoreUnavailable(f"{variable} should begin with http:// or https://")
            return endpoint.startswith("http://")
    return False


class NotFound(StoreError):
    """There is no such object."""


@contextmanager
def reporting(root: str) -> Iterator[None]:
    """Turn what obstore raises into a StoreError; its own texts may hold parts of credentials."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        raise _store_error(error, root.partition(":")[0]) from None


def _store_error(error: Exception, scheme: str) -> StoreError:
    text = str(error).partition("Debug source:")[0]
    code = _found(r"<Code>(\w+)</Code>", text)
    status = _found(r"status code: (\d{3})", text)
    if code == "NoSuchBucket" or code == "ContainerNotFound":
        return StoreError("no such bucket")
    if isinstance(error, FileNotFoundError):
        return NotFound("no such object")
    if METADATA_HOST in text or "Account must be specified" in text:
        return StoreUnavailable(f"there are no credentials: set {CREDENTIALS[scheme]}")
    if code in REFUSED_CREDENTIALS or status == "401":
        return StoreUnavailable(f"the credentials are not accepted ({code or status})")
    if status == "403":
        return StoreError("access denied")
    if "redirect" in text:
        return StoreError("the bucket is in another region: set AWS_REGION")
    if status is not None:
        kind = StoreUnavailable if status == "429" or status >= "500" else StoreError
        return kind(f"the store answers {status}" + (f" ({code})" if code else ""))
    if isinstance(error, ValueError) or "path segment" in text:
        return StoreError("a key with an empty part, or with . or .. as one, cannot be read")
    return StoreUnavailable("the store cannot be reached")


def _found(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match[1] if match else None
