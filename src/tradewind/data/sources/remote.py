"""Fetching what an fsspec URL names (http, https, s3 and whatever else fsspec has installed) into a local folder.

Not here: local files, and what is done with the bytes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from tradewind.errors import DataError, EnvironmentFailure, TradewindError, writing

_COPY_BYTES = 4 << 20
_REFUSED, _NOT_FOUND = (401, 403), 404
# How botocore and aiohttp call what a user can mend; matched by name, so that neither has to be installed.
_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError", "ProfileNotFound")
_NETWORK = (
    "ClientConnectorError", "ClientConnectorDNSError", "ServerDisconnectedError", "ClientPayloadError",
    "EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError", "ClientOSError",
)  # fmt: skip


@dataclass(frozen=True)
class Fetched:
    """The files that were fetched, sorted; `single` when the URL named one file, not a folder or pattern."""

    paths: tuple[Path, ...]
    single: bool


def fetch(url: str, spool: Path, *, shown: str) -> Fetched:
    """Copies the file, or every file below the folder or pattern, into `spool`, keeping the folders' structure.

    Raises DataError when there is nothing there, EnvironmentFailure when the network, the right to read or a package
    is missing. `shown` stands for the URL in errors: it holds no password.
    """
    fsspec = _package(shown)
    with network(shown):
        system, path = _system(fsspec, url, shown)
        single = not any(sign in _without_query(url) for sign in "*[") and not url.endswith("/")
        if single and not (urlsplit(url).scheme.startswith("http") or not system.isdir(path)):
            single = False
        if single:
            name = PurePosixPath(urlsplit(url).path).name or "download"
            return Fetched((_copy(system, path, spool / name, shown),), single=True)
        remote = _listing(system, path)
        if not remote:
            raise DataError("There is no file there.", code="missing", where=shown)
        root = path.rstrip("/")
        for sign in "*[":
            root = root.partition(sign)[0]
        root = root if path.rstrip("/") == root else root.rpartition("/")[0]
        copied = [_copy(system, name, spool / _below(name, root), shown) for name in remote]
        return Fetched(tuple(sorted(copied)), single=False)


def _without_query(url: str) -> str:
    return url.partition("?")[0]


def _package(shown: str) -> Any:
    try:
        import fsspec  # only what is remote needs it
    except ModuleNotFoundError as error:
        raise _missing("fsspec", shown) from error
    return fsspec


def _missing(package: str, shown: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"Reading it needs the package {package}, which is not installed.", code="package_missing", where=shown,
        hint="Install it with: pip install 'tradewind[train]'.",
    )  # fmt: skip


def _system(fsspec: Any, url: str, shown: str) -> tuple[Any, str]:
    scheme = urlsplit(url).scheme
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ModuleNotFoundError as error:
        raise _missing(str(error.name), shown) from error
    except ImportError as error:
        package = {"s3": "s3fs", "gs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}.get(scheme, f"for {scheme}://")
        raise _missing(package, shown) from error
    except ValueError as error:
        raise DataError(
            f"There is no way to read {scheme}:// URLs.", code="scheme_unknown", where=shown,
            hint="Give a path, or a URL with s3://, https://, sqlite:/// or postgresql://.",
        ) from error  # fmt: skip
    return system, str(path)


def _listing(system: Any, path: str) -> list[str]:
    if any(sign in path for sign in "*["):
        return sorted(str(name) for name in system.glob(path))
    return sorted(str(name) for name in system.find(path))


def _below(name: str, root: str) -> Path:
    """The path of `name` below `root`, never outside it."""
    parts = [part for part in PurePosixPath(name[len(root) :].lstrip("/")).parts if part not in ("..", ".", "/")]
    return Path(*parts)


def _copy(system: Any, remote: str, local: Path, shown: str) -> Path:
    with writing(str(local.parent)):
        local.parent.mkdir(parents=True, exist_ok=True)
    with system.open(remote, "rb") as source, local.open("wb") as target:
        while block := source.read(_COPY_BYTES):
            with writing(str(local.parent)):
                target.write(block)
    return local


@contextmanager
def network(shown: str) -> Iterator[None]:
    """Turns what fsspec, aiohttp and botocore raise into one clear error about `shown`."""
    try:
        yield
    except TradewindError:
        raise
    except FileNotFoundError as error:
        # fsspec says so of every failure over http; what really happened stands behind it.
        if isinstance(error.__cause__, Exception) and getattr(error.__cause__, "status", None) != _NOT_FOUND:
            reason = _reason(error.__cause__, shown)
            if isinstance(reason, TradewindError):
                raise reason from None
        raise DataError(
            "There is no such file or bucket.", code="missing", where=shown, hint="Check the address for a slip."
        ) from error
    except Exception as error:
        # The libraries' own trees share no root; what is not known is raised again.
        raise _reason(error, shown) from error


def _reason(error: Exception, shown: str) -> Exception:
    names = {kind.__name__ for kind in type(error).__mro__}
    status = getattr(error, "status", None)
    if names & {"NoSuchBucket", "NoSuchKey"}:
        return DataError(
            "There is no such file or bucket.", code="missing", where=shown, hint="Check the address for a slip."
        )
    if names & set(_CREDENTIALS):
        return EnvironmentFailure(
            "No credentials were found.", code="credentials", where=shown,
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, in the environment.",
        )  # fmt: skip
    if isinstance(error, PermissionError) or status in _REFUSED:
        return EnvironmentFailure(
            "The server refuses access.", code="permission", where=shown, hint="Check the credentials and their rights."
        )
    if isinstance(status, int):
        return EnvironmentFailure(
            f"The server answered with status {status}.", code="network", where=shown, hint="Try again later."
        )
    if names & set(_NETWORK) or isinstance(
        error, ConnectionError | TimeoutError | asyncio.TimeoutError | socket.gaierror
    ):
        return EnvironmentFailure(
            "The server cannot be reached.", code="network", where=shown,
            hint="Check the address, the network and the proxy.",
        )  # fmt: skip
    if isinstance(error, OSError) or "ClientError" in names or "BotoCoreError" in names:
        return EnvironmentFailure(
            f"It cannot be fetched ({type(error).__name__}).", code="network", where=shown,
            hint="Check the address and the rights to it.",
        )  # fmt: skip
    return error
