"""Writes down what Airflow itself says about a DAGs folder: schedules, windows, tasks, rendered commands.

Copy this one file into the container or environment that runs the DAGs and call

    python inventory.py --dags-folder DIR --from 2024-01-01 --to 2024-03-31 --out inventory.json

It needs Airflow 2.7 to 2.11 or 3.x and nothing else: no scheduler, no webserver, no row in a metadata database. The
shape of the document is `docs/inventory.schema.json`.

Airflow is the oracle: windows come from its own timetables, rendered text from its own template engine. Values that
only a real run knows are reported as undetermined, even where Airflow would render something without history. No value
of a Variable or a Connection is written: a template never reaches one, and values that a DAG file read while it was
parsed are masked. The output is the only file that is written; Airflow gets a home in a temporary folder.

Sections: the command line · an Airflow without a database · secrets · stand-ins · what a template needs · windows ·
values · tasks · rendering · the document.
"""

from __future__ import annotations

import argparse
import base64
import concurrent.futures.process
import contextlib
import copy
import dataclasses
import functools
import gc
import importlib
import importlib.metadata
import inspect
import json
import logging
import multiprocessing
import os
import re
import shlex
import shutil
import sys
import tempfile
import textwrap
import urllib.parse
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

# Control characters except line feed and tab, and characters that are invisible or change the reading direction.
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)

UTC = timezone.utc

SCHEMA = "parity/inventory/1"
MASKED = "***"
UNDETERMINED = "__undetermined__"

#: One DAG's windows in the document; an hourly DAG has 8,784 in a year, a five-minute DAG 105,408.
MAX_WINDOWS = 110_000
#: Steps of a timetable from the DAG's start to the span, for timetables that cannot be entered in the middle.
MAX_STEPS = 500_000
#: The newest windows, for which a sensor's `execution_date_fn` is called; more than a year of an hourly DAG.
MAX_ASKED = 10_000
#: Windows that are rendered for each task. Only `--window` can ask for that many.
MAX_SAMPLES = 20_000


class CannotExport(Exception):
    """Nothing can be exported; the message says why and what to do."""


# --- the command line -------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Request:
    """The command line. `first` and `last` are days, both included, read in each DAG's own time zone."""

    dags_folder: Path
    first: date
    last: date
    out: Path
    spans: tuple[tuple[str, str], ...]


def arguments(argv: list[str] | None) -> Request:
    """Parse and check the command line; ends the process with exit code 2 on a usage error."""
    parser = argparse.ArgumentParser(
        prog="inventory.py",
        description="Export what Airflow itself says about a DAGs folder, as JSON: schedules, windows, tasks, and "
        "every templated field raw and rendered for sampled windows.",
        epilog="It renders the first and the last window of the span, month ends, both daylight-saving changes, and "
        "the windows that --window asks for. Parse-time Variables and Connections are read from AIRFLOW_VAR_* and "
        "AIRFLOW_CONN_* only; where one is not set, its default is used, with a warning. Their values are masked in "
        "the output. A file that does not import is a row in the output and a line on stderr. "
        "Exit codes: 0 done (also with import errors), 1 error, 2 usage.",
    )
    parser.add_argument(
        "--dags-folder", required=True, type=Path, metavar="DIR", help="the folder Airflow loads"
    )
    parser.add_argument(
        "--from", required=True, dest="first", type=_day, metavar="DATE",
        help="first day of the span, YYYY-MM-DD, in each DAG's own time zone",
    )  # fmt: skip
    parser.add_argument(
        "--to", required=True, dest="last", type=_day, metavar="DATE", help="last day of the span, included"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="the output, written at the end, as a whole"
    )
    parser.add_argument(
        "--window", action="append", default=[], type=_span, dest="spans", metavar="START/END",
        help="also render every window that starts in [START, END); dates or ISO times, read in each DAG's own time "
        "zone if they have no offset; may be repeated",
    )  # fmt: skip
    given = parser.parse_args(argv)
    if given.first > given.last:
        parser.error(f"--from {given.first} is after --to {given.last}")
    if not given.dags_folder.is_dir():
        parser.error(f"--dags-folder {given.dags_folder} is not a folder")
    if not given.out.absolute().parent.is_dir():
        parser.error(f"--out {given.out}: its folder does not exist")
    if given.out.is_dir():
        parser.error(f"--out {given.out} is a folder")
    return Request(
        given.dags_folder.resolve(), given.first, given.last, given.out.absolute(), tuple(given.spans)
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date like 2024-03-31") from error


def _span(text: str) -> tuple[str, str]:
    start, slash, end = text.partition("/")
    try:
        if not slash or moment(start, UTC) >= moment(end, UTC):
            raise ValueError(text)
    except ValueError as error:
        reason = f"{text!r} is not START/END with START before END, like 2024-03-10/2024-03-12"
        raise argparse.ArgumentTypeError(reason) from error
    return start, end


def moment(text: str, zone: tzinfo) -> datetime:
    """An ISO date or time as an instant; without an offset it is local to `zone`."""
    # Python 3.8 to 3.10, where Airflow 2.7 still runs, read no Z.
    instant = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    return (instant if instant.tzinfo else instant.replace(tzinfo=zone)).astimezone(UTC)


# --- an Airflow without a database ------------------------------------------------------------------------------


@functools.lru_cache(maxsize=None)  # noqa: UP033 - Python 3.8
def airflow_version() -> str:
    for distribution in ("apache-airflow", "apache-airflow-core"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(distribution)
    raise CannotExport("Airflow is not installed here: run this file with the Python that runs the DAGs")


@contextlib.contextmanager
def isolated_airflow(dags_folder: Path) -> Iterator[None]:
    """Settings under which Airflow touches no database, no log folder and no secrets backend of the team.

    The team's own AIRFLOW_HOME, airflow.cfg, plugins and local settings stay in force, because they shape DAGs, and
    DAG files read them. Nothing is written there. Enter this before Airflow is imported: that is when it reads them.
    """
    team_home = Path(os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow")
    team_config = Path(os.environ.get("AIRFLOW_CONFIG") or team_home / "airflow.cfg")
    home = Path(tempfile.mkdtemp(prefix="airflow-inventory-"))
    settings = {
        # Airflow creates the folder if it does not exist, so without a home of the team's it gets a temporary one.
        "AIRFLOW_HOME": str(team_home if team_home.is_dir() else home),
        # Without an airflow.cfg, Airflow writes its own.
        "AIRFLOW_CONFIG": str(team_config if team_config.is_file() else home / "airflow.cfg"),
        "AIRFLOW__WEBSERVER__CONFIG_FILE": str(home / "webserver_config.py"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Airflow puts only the configured folder, never an argument of DagBag, on the path of the DAGs' imports.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'empty.db'}",
        "AIRFLOW__SECRETS__BACKEND": "",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__SCHEDULER__CHILD_PROCESS_LOG_DIRECTORY": str(home / "logs" / "scheduler"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home / "logs" / "dag_processor"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_MANAGER_LOG_LOCATION": str(home / "logs" / "manager.log"),
        "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS": "",
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW__METRICS__STATSD_ON": "False",
        "AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY": "True",  # without it Airflow 2 warns on every start
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    before = dict(os.environ)
    os.environ.update(settings)
    # Python puts this file's own folder first on the path; its neighbours must not stand in for libraries.
    here = str(Path(__file__).resolve().parent)
    if here != str(dags_folder):
        sys.path[:] = [entry for entry in sys.path if str(Path(entry or ".").resolve()) != here]
    if (team_home / "config").is_dir():
        sys.path.append(str(team_home / "config"))
    # Airflow 2 does this by itself; the DAG processor of Airflow 3 does it for each bundle, and DagBag does not.
    if str(dags_folder) not in sys.path:
        sys.path.append(str(dags_folder))
    try:
        # DAG files may print; stdout stays free.
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(home, ignore_errors=True)


class NoRows:
    """A database session, a query and its result in one: whatever is queried, the result is empty."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __contains__(self, item: Any) -> bool:
        return False

    def __enter__(self) -> NoRows:
        return self

    def __exit__(self, *args: Any) -> None:
        return None

    def _nothing(self, *args: Any, **kwargs: Any) -> None:
        return None

    def _none_of_them(self, *args: Any, **kwargs: Any) -> list[Any]:
        return []

    scalar = first = one_or_none = scalar_one_or_none = get = _nothing
    all = scalars = fetchall = _none_of_them


def without_database() -> None:
    """Hand `NoRows` to everything that asks Airflow for a session, in DAG files and macros too."""
    from airflow import settings

    for name in ("Session", "NonScopedSession"):
        if hasattr(settings, name):
            setattr(settings, name, NoRows())


def quiet() -> None:
    """Silence Airflow's log, which has a traceback for each import error and failed template: here both are data."""
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(ImportError):
        import structlog

        structlog.configure(logger_factory=structlog.ReturnLoggerFactory())


# --- secrets ----------------------------------------------------------------------------------------------------

SENSITIVE = (
    "access_token", "api_key", "apikey", "authorization", "passphrase", "passwd", "password", "private_key",
    "secret", "token", "keyfile_dict", "service_account", "fernet_key", "sql_alchemy_conn",
)  # fmt: skip


class Vault:
    """Values that must not be written: those that DAG files read, by file, and the sensitive values of the process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self.file: str | None = None
        #: file → Variable or Connection → the texts in its value
        self.read: dict[str, dict[str, set[str]]] = {}
        self.defaulted: dict[str, set[str]] = {}
        self.missing: dict[str, set[str]] = {}
        self.everywhere: set[str] = set()
        self._hides: Callable[[str], bool] | None = None
        self._sensitive: dict[str, bool] = {}

    def learn(self) -> None:
        """Read Airflow's rule for sensitive names, once it is imported, and the secrets that the process holds."""
        self._hides = _airflow_rule()
        # Including our own settings for Airflow, because a DAG that passes on its environment has them too.
        self.environment = {**self.environment, **os.environ}
        for name, value in self.environment.items():
            if name.startswith("AIRFLOW_CONN_"):
                self.everywhere |= {value, *_passwords(value)}
            elif self.is_sensitive(name):
                self.everywhere |= set(_leaves(value))
        # A password of three letters would hide half of every command.
        self.everywhere = {value for value in self.everywhere if len(value) > 3}

    def is_sensitive(self, name: str) -> bool:
        """By Airflow's own rule, with the team's `sensitive_var_conn_names`, or by ours."""
        if name not in self._sensitive:
            ours = any(word in name.lower() for word in SENSITIVE)
            self._sensitive[name] = ours or bool(self._hides and self._hides(name))
        return self._sensitive[name]

    def note(self, name: str, value: Any) -> None:
        """Record that a DAG file, the one that is being parsed or rendered, has read a value."""
        self.read.setdefault(self.file or "", {}).setdefault(name, set()).update(_leaves(value))

    def read_in(self, text: str, file: str) -> list[str]:
        """The Variables and Connections whose values occur in a text of that file."""
        return sorted(
            name
            for name, values in self.read.get(file, {}).items()
            if any((len(value) > 3 and value in text) or value == text for value in values)
        )

    def values(self, file: str) -> list[str]:
        """The secrets of a file, longest first, in every form in which a shell or JSON text would write them."""
        secrets = self.everywhere.union(*self.read.get(file, {}).values(), *self.read.get("", {}).values())
        written = {form for value in secrets for form in _ways_to_write(value) if form.strip()}
        return sorted(written, key=lambda form: (-len(form), form))

    def inherited(self, mapping: Mapping[Any, Any]) -> set[str]:
        """The keys of a command's environment whose values are just those of this process."""
        known = self.environment
        return {
            name
            for name, value in mapping.items()
            if isinstance(name, str) and name in known and known[name] == value
        }

    def is_copy(self, inherited: set[str]) -> bool:
        """Whether the DAG file has passed on the whole environment rather than single variables."""
        return len(inherited) > max(5, len(self.environment) // 2)


MASKERS = (
    "airflow.sdk._shared.secrets_masker",
    "airflow._shared.secrets_masker",
    "airflow.utils.log.secrets_masker",
)


def _ways_to_write(secret: str) -> Iterator[str]:
    """A secret as it is written in plain text, JSON, Python, a URL, a shell's single quotes and base64."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield repr(secret)[1:-1]
    yield urllib.parse.quote(secret, safe="")
    yield urllib.parse.quote(secret)
    yield urllib.parse.quote_plus(secret)
    yield shlex.quote(secret)
    if len(secret) > 3:
        yield base64.b64encode(secret.encode()).decode()
        yield base64.urlsafe_b64encode(secret.encode()).decode()


def _airflow_rule() -> Callable[[str], bool] | None:
    for module in MASKERS:
        with contextlib.suppress(Exception):
            rule: Callable[[str], bool] = importlib.import_module(module).should_hide_value_for_key
            rule("password")
            return rule
    return None


def _airflow_patterns() -> list[str]:
    """Regular expressions for what Airflow's own masker would hide in a log, except our stand-ins, which it saw too."""
    patterns = set()
    for module in MASKERS:
        with contextlib.suppress(Exception):
            patterns |= set(importlib.import_module(module)._secrets_masker().patterns)
    return sorted(
        (pattern for pattern in patterns if not re.fullmatch(pattern, UNDETERMINED)), key=len, reverse=True
    )


def _leaves(value: Any) -> Iterator[str]:
    """The texts inside a Variable's value, which may be JSON."""
    if isinstance(value, str):
        yield value
        with contextlib.suppress(ValueError):
            if not isinstance(parsed := json.loads(value), str):
                yield from _leaves(parsed)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)


def _passwords(connection: str) -> Iterator[str]:
    """The secret parts of a connection, as a URI or as JSON: password and extras, not the user's name."""
    with contextlib.suppress(ValueError):
        if connection.lstrip().startswith("{"):
            parts = json.loads(connection)
            yield from _leaves(parts.get("password") or "")
            yield from _leaves(parts.get("extra") or "")
        else:
            uri = urllib.parse.urlsplit(connection)
            for part in (uri.password, *(value for _, value in urllib.parse.parse_qsl(uri.query))):
                yield from (part, urllib.parse.unquote(part)) if part else ()


#: How the name of an option, a variable or a field that holds a secret ends.
_TELLING_NAME = (
    r"(?:password|passwd|passphrase|passcode|(?<=_)pwd|(?<=;)pwd|secret(?:[-_]?key)?|token|api[-_]?key"
    r"|access[-_]?key(?:[-_]?id)?|private[-_]?key|account[-_]?key|shared[-_]?access[-_]?signature|x-amz-signature)"
)
#: A value as it is written in a shell, JSON or YAML text. A reference ($NAME, a template) is not a secret.
_VALUE = (
    r"(?!\\?[\"']?(?:\$|\{\{|\*\*\*|<\(|__undetermined__))"
    r"(?:\\?\"(?P<double>(?:\\[^\"]|[^\"\\])+)\\?\"|\\?'(?P<single>[^'\\]+)\\?'|(?P<bare>[^\s'\"&;|,)}\]]+))"
)
#: Texts that look like a secret wherever they occur. Only the group that matched is masked.
_LIKELY = [
    re.compile(pattern, flags)
    for pattern, flags in (
        (r"(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z))", re.DOTALL),
        (
            r"(?<![\w+.-])[a-z][\w+.-]{0,30}://[^\s/@:'\"{$]*:(?P<in_url>[^\s/@'\"{$*][^\s/@'\"]*)@",
            re.IGNORECASE,
        ),
        (r"(?<![\w+.-])[a-z][\w+.-]{0,30}://(?P<user_only>[^\s/@:'\"{$*]{16,})@", re.IGNORECASE),
        (
            r"\bauthorization['\"]?\s*[:=]\s*['\"]?(?:(?:bearer|basic|token)\s+)?(?!(?:bearer|basic|token)\s)(?P<header>[^\s'\"${*][^\s'\"]*)",
            re.IGNORECASE,
        ),
        (r"\b(?:bearer|basic)\s+(?P<scheme>[\w+/=.~-]{8,})", re.IGNORECASE),
        (r"(?<![\w-])--?[\w-]*" + _TELLING_NAME + r"(?:=|\s+)" + _VALUE, re.IGNORECASE),
        (r"(?<![-\w])\w*" + _TELLING_NAME + r"\s*=\s*" + _VALUE, re.IGNORECASE),
        (r"(?<![-\w])[\w-]*" + _TELLING_NAME + r"\\?['\"]?\s*:\s*" + _VALUE, re.IGNORECASE),
        (r"\bsshpass\s+-p\s*" + _VALUE, 0),
        (r"\b(?:mysql\w*|mariadb[\w-]*)\s(?:[^|;&\n]{0,300}\s)?-p(?P<attached>[^\s'\"${*]+)", 0),
        (r"(?:(?<=\s)-u|--user)(?:\s+|=)['\"]?[^\s:'\"${]+:(?P<user>[^\s'\"${*][^\s'\"]*)", 0),
        (
            r"(?<![\w/])(?P<shape>(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
            r"|xox[abeprs]-[\w-]{10,}|sk-[\w-]{20,}|[rs]k_(?:live|test)_\w{10,}|AIza[\w-]{35}|dapi[0-9a-f]{32}"
            r"|npm_\w{30,}|hv[sb]\.[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*)",
            0,
        ),
    )
]
_SECRET_FIELD = re.compile(r"[\w.-]*" + _TELLING_NAME.replace("(?<=;)pwd", "pwd"), re.IGNORECASE)


def mask_likely(text: str) -> str:
    """The text with everything masked that looks like a secret by its name, its place or its shape."""
    for pattern in _LIKELY:
        text = pattern.sub(_masked_group, text)
    return text


def _masked_group(match: Any) -> str:
    whole, start = match.group(0), match.start()
    [(first, last)] = [match.span(name) for name, value in match.groupdict().items() if value is not None]
    return str(whole[: first - start] + MASKED + whole[last - start :])


def mask_named(name: Any, value: Any) -> Any:
    """The mask for a value whose field is named like a secret; None if it is not, or if the value cannot be one."""
    if not isinstance(name, str) or not _SECRET_FIELD.fullmatch(name):
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = str(value)
    is_reference = text.startswith(("$", "{{")) or UNDETERMINED in text
    return None if is_reference or not text else MASKED


def mask(value: Any, secrets: list[str]) -> Any:
    """Replace each secret inside the texts of a JSON value; one of up to three characters only as a whole text, or a
    user of the name `dbt` would hide each command."""
    long = [re.escape(secret) for secret in secrets if len(secret) > 3]
    pattern = re.compile("|".join(long + _airflow_patterns()) or r"(?!)")
    short = {secret for secret in secrets if len(secret) <= 3}

    def walk(item: Any) -> Any:
        if isinstance(item, str):
            return MASKED if item in short else mask_likely(pattern.sub(MASKED, item))
        if isinstance(item, dict):
            return {
                mask_likely(pattern.sub(MASKED, key)): mask_named(key, inner) or walk(inner)
                for key, inner in item.items()
            }
        if isinstance(item, list):
            return [walk(inner) for inner in item]
        if isinstance(item, (int, float)) and not isinstance(item, bool) and pattern.fullmatch(str(item)):
            return MASKED
        return item

    return walk(value)


class ParseTimeVariables:
    """`Variable.get` and `get_connection` for DAG files: the environment's value, else the default, else a stand-in."""

    _NOTHING: Any = object()

    def __init__(self, vault: Vault) -> None:
        self.vault = vault

    def variable(
        self,
        key: str,
        default_var: Any = _NOTHING,
        deserialize_json: bool = False,
        *,
        default: Any = _NOTHING,
        **_: Any,
    ) -> Any:
        """Airflow 2 calls the fallback `default_var`, Airflow 3 `default`; both are the second argument."""
        value = self.vault.environment.get(f"AIRFLOW_VAR_{key.upper()}")
        if value is not None:
            parsed = json.loads(value) if deserialize_json else value
            self.vault.note(f"Variable {key}", value)
            return parsed
        file = self.vault.file or ""
        fallback = default if default is not self._NOTHING else default_var
        if fallback is not self._NOTHING:
            self.vault.defaulted.setdefault(file, set()).add(key)
            return fallback
        if deserialize_json:
            # A made-up structure would shape the DAG; a text merely ends up in a field, where it can be seen.
            raise KeyError(f"Variable {key} (JSON) is not known here: set AIRFLOW_VAR_{key.upper()}")
        self.vault.missing.setdefault(file, set()).add(f"Variable {key}")
        return UNDETERMINED

    def connection(self, conn_id: str, *_: Any, **__: Any) -> Any:
        from airflow.models import Connection

        value = self.vault.environment.get(f"AIRFLOW_CONN_{conn_id.upper()}")
        if value is None:
            self.vault.missing.setdefault(self.vault.file or "", set()).add(f"Connection {conn_id}")
            parts = ("host", "login", "password", "schema")
            return Connection(conn_id=conn_id, conn_type="generic", **dict.fromkeys(parts, UNDETERMINED))
        self.vault.note(f"Connection {conn_id}", value)
        if value.lstrip().startswith("{"):
            connection = Connection.from_json(value, conn_id=conn_id)
        else:
            connection = Connection(conn_id=conn_id, uri=value)
        for part in ("host", "login", "password", "schema", "extra"):
            self.vault.note(f"Connection {conn_id}", getattr(connection, part, None) or "")
        return connection

    def install(self) -> None:
        """Replace Airflow's functions with these two, whichever way a DAG file imports them."""
        places: list[tuple[str, str, str, Callable[..., Any]]] = [
            ("airflow.models.variable", "Variable", "get", self.variable),
            ("airflow.models.connection", "Connection", "get_connection_from_secrets", self.connection),
            ("airflow.sdk.definitions.variable", "Variable", "get", self.variable),
            ("airflow.sdk.definitions.connection", "Connection", "get", self.connection),
        ]
        for module, name, method, function in places:
            with contextlib.suppress(ImportError, AttributeError):
                setattr(getattr(importlib.import_module(module), name), method, staticmethod(function))


# --- stand-ins --------------------------------------------------------------------------------------------------


class Touched:
    """The names of stand-ins that the text being rendered has used."""

    def __init__(self) -> None:
        self.names: set[str] = set()


class Unknown:
    """A stand-in for a value that is not known: it accepts any access, and prints a marker."""

    def __init__(self, name: str, touched: Touched, text: str = UNDETERMINED) -> None:
        self._name, self._touched, self._text = name, touched, text

    def _more(self, *args: Any, **kwargs: Any) -> Unknown:
        self._touched.names.add(self._name)
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._more()

    def __str__(self) -> str:
        self._more()
        return self._text

    __call__ = __getitem__ = __add__ = __sub__ = __radd__ = __rsub__ = _more
    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self)

    def __bool__(self) -> bool:
        self._more()
        return False

    def __iter__(self) -> Iterator[Any]:
        self._more()
        return iter(())

    def __contains__(self, item: Any) -> bool:
        self._more()
        return False


class Known:
    """A run or task instance of which only the parts that follow from the window are known."""

    def __init__(self, name: str, known: dict[str, Any], touched: Touched) -> None:
        self._name, self._known, self._touched = name, known, touched

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self._known:
            return self._known[name]
        return Unknown(f"{self._name}.{name}", self._touched)._more()

    def __str__(self) -> str:
        return str(Unknown(self._name, self._touched))

    __repr__ = __str__


# --- what a template needs --------------------------------------------------------------------------------------

HISTORY = "depends on the runs before it"
AT_RUN_TIME = "is known only while a run is going on"
SECRECY = "values of Variables and Connections are not exported"
WALL_CLOCK = "depends on the clock at the time of the run"

UNKNOWN_ROOTS = {
    "var": SECRECY,
    "conn": SECRECY,
    "conf": "Airflow's configuration is not exported",
    "prev_data_interval_start_success": HISTORY,
    "prev_data_interval_end_success": HISTORY,
    "prev_execution_date_success": HISTORY,
    "prev_start_date_success": HISTORY,
    "prev_end_date_success": HISTORY,
    "triggering_dataset_events": AT_RUN_TIME,
    "triggering_asset_events": AT_RUN_TIME,
    "inlet_events": AT_RUN_TIME,
    "outlet_events": AT_RUN_TIME,
    "expanded_ti_count": AT_RUN_TIME,
    "partition_key": AT_RUN_TIME,
    "partition_date": AT_RUN_TIME,
    "task_reschedule_count": AT_RUN_TIME,
    "task_state_store": AT_RUN_TIME,
    "asset_state_store": AT_RUN_TIME,
    "exception": AT_RUN_TIME,
    "reason": AT_RUN_TIME,
    "try_number": AT_RUN_TIME,
}
#: The parts that follow from the schedule and the window alone; the rest of a run or task instance does not.
KNOWN_PARTS = {
    "dag_run": {
        "dag_id", "run_id", "run_type", "logical_date", "execution_date", "data_interval_start", "data_interval_end",
        "external_trigger",
    },
    "ti": {"task_id", "dag_id", "run_id", "task", "execution_date", "map_index"},
    "dag": {
        "dag_id", "safe_dag_id", "timezone", "start_date", "end_date", "owner", "tags", "description", "params",
        "default_args", "max_active_runs", "catchup", "schedule_interval", "schedule", "timetable", "doc_md",
        "task_ids", "fileloc", "folder", "filepath", "relative_fileloc", "user_defined_macros", "dagrun_timeout",
        "is_paused_upon_creation", "max_active_tasks", "display_name", "dag_display_name",
    },
}  # fmt: skip
KNOWN_PARTS["task_instance"] = KNOWN_PARTS["ti"]
WINDOW_NAMES = {
    "data_interval_start", "data_interval_end", "logical_date", "execution_date", "ds", "ds_nodash", "ts", "ts_nodash",
    "ts_nodash_with_tz", "yesterday_ds", "yesterday_ds_nodash", "tomorrow_ds", "tomorrow_ds_nodash", "prev_ds",
    "prev_ds_nodash", "prev_execution_date", "next_ds", "next_ds_nodash", "next_execution_date", "run_id",
    "task_instance_key_str",
}  # fmt: skip
CLOCK_CALLS = {"now", "utcnow", "today", "diff_for_humans", "random"}
CLOCK_MACROS = {"time", "random", "uuid"}
NO_SCHEDULE = "no schedule decides it: who triggers the DAG does"
NO_LOGICAL_DATE = (
    "a run for a partition key, or of assets, has no logical date, and a template with this name fails"
)
DROPPED = "Airflow 3 has no such name any more, and a template that uses it fails"
#: What a run for a partition key has in place of a window, where a cron determines the key.
OF_A_PARTITION = {"partition_key", "partition_date"}


@dataclasses.dataclass(frozen=True)
class Need:
    """Something that a field needs and that the schedule alone does not determine."""

    needs: str
    reason: str


def has_template(text: str) -> bool:
    return "{{" in text or "{%" in text or "{#" in text


def reason_of(name: str) -> str:
    root, _, part = name.partition(".")
    if root in UNKNOWN_ROOTS:
        return UNKNOWN_ROOTS[root]
    if part.startswith("xcom"):
        return "what another task returned is known only while a run is going on"
    if part == "conf":
        return "who triggers a run may pass anything"
    return AT_RUN_TIME


class TemplateReader:
    """Finds, in the template's syntax tree, the names that only a real run knows, also in branches not taken."""

    def __init__(self, environment: Any, names: set[str], params: set[str], contexts: Contexts) -> None:
        self.environment, self.names, self.params = environment, names, params
        self.no_window, self.known = contexts.no_window, contexts.known
        self._seen: dict[str, tuple[Need, ...]] = {}

    def needs(self, source: str) -> tuple[Need, ...]:
        if source not in self._seen:
            self._seen[source] = ()  # a template that includes itself
            self._seen[source] = tuple(dict.fromkeys(self._read(source))) if has_template(source) else ()
        return self._seen[source]

    def _read(self, source: str) -> Iterator[Need]:
        import jinja2
        from jinja2 import meta

        try:
            tree = self.environment.parse(source)
            free = meta.find_undeclared_variables(tree)  # it knows the filters, which the parser does not
        except jinja2.TemplateSyntaxError as error:
            yield Need("a valid template", f"line {error.lineno}: {error.message}")
            return
        for chain in self._chains(tree, free):
            yield from self._judge(chain)
        for name in meta.find_referenced_templates(tree):
            try:
                inner = self.environment.loader.get_source(self.environment, name)[0] if name else ""
            except Exception:
                yield Need(f"the template file {name}", "it is not found from here")
            else:
                yield from self.needs(inner)

    def _chains(self, node: Any, free: set[str]) -> Iterator[list[str]]:
        """Each use of a free name with its parts: `dag_run.conf.get('x')` → dag_run, conf, x.

        An attribute of anything other than a free name has an empty first part.
        """
        from jinja2 import nodes

        parts: list[str] = []
        aside: list[Any] = []
        inner: Any = node
        while isinstance(inner, (nodes.Getattr, nodes.Getitem, nodes.Call)):
            if isinstance(inner, nodes.Call):
                aside += [*inner.args, *(keyword.value for keyword in inner.kwargs)]
                aside += [extra for extra in (inner.dyn_args, inner.dyn_kwargs) if extra]
                taken = _taken_by_name(inner)
                parts[:0] = taken
                inner = inner.node.node if taken else inner.node  # type: ignore[attr-defined]  # of the cases above
            elif isinstance(inner, nodes.Getitem):
                parts.insert(0, str(inner.arg.value) if isinstance(inner.arg, nodes.Const) else "[]")
                aside.append(inner.arg)
                inner = inner.node
            else:
                parts.insert(0, inner.attr)
                inner = inner.node
        if isinstance(inner, nodes.Name):
            is_free = inner.ctx == "load" and inner.name in free
            if is_free or parts:
                yield [inner.name if is_free else "", *parts]
        else:
            if parts:
                yield ["", *parts]
            aside += inner.iter_child_nodes()
        for other in aside:
            yield from self._chains(other, free)

    def _judge(self, chain: list[str]) -> Iterator[Need]:
        root, parts = chain[0], chain[1:]
        first = parts[0] if parts else ""
        by_clock = bool(parts) and (parts[-1] in CLOCK_CALLS or (root == "macros" and first in CLOCK_MACROS))
        if by_clock or (root == "macros" and first == "datetime_diff_for_humans"):
            yield Need(".".join(chain).strip("."), WALL_CLOCK)
        if self.known and (root == "run_id" or (root in KNOWN_PARTS and first == "run_id")):
            yield Need(
                ".".join([root, *parts[:1]]), "Airflow ends the id of a run for a partition key at random"
            )
        if root in UNKNOWN_ROOTS and root not in self.known:
            named = {"var": 2, "conn": 1}.get(root, 0)
            yield Need(".".join([root, *parts[:named]]), UNKNOWN_ROOTS[root])
        elif root in KNOWN_PARTS:
            if parts and first not in KNOWN_PARTS[root] and first not in self.known:
                yield Need(f"{root}.{first}", reason_of(f"{root}.{first}"))
            elif not parts and root != "dag":
                yield Need(root, "as a whole it " + AT_RUN_TIME)
        elif root == "task" and first.startswith(("get_", "xcom")):
            yield Need(f"task.{first}", AT_RUN_TIME)
        elif root == "params":
            if parts and first not in self.params and not hasattr(dict, first):
                yield Need(f"params.{first}", "it has no default")
        elif root and root not in self.names:
            yield Need(root, self._why_absent(root))
        if self.no_window and _takes_the_window(root, first):
            yield Need(
                ".".join([root, first]).strip(".") if root not in WINDOW_NAMES else root, self.no_window
            )

    def _why_absent(self, root: str) -> str:
        if root not in WINDOW_NAMES:
            return "this Airflow has no such name in a template"
        return DROPPED if "ds" in self.names else NO_LOGICAL_DATE


def _taken_by_name(call: Any) -> list[str]:
    """The name in `.get("name")` or `.get("name", default)`, which read a part as an attribute would."""
    from jinja2 import nodes

    if isinstance(call.node, nodes.Getattr) and call.node.attr == "get" and call.args:
        return [str(call.args[0].value)] if isinstance(call.args[0], nodes.Const) else []
    return []


def _takes_the_window(root: str, part: str) -> bool:
    """Whether the value differs from window to window; of a run's parts, all do except the DAG's name."""
    if root in ("dag_run", "ti", "task_instance"):
        return part in WINDOW_NAMES
    return root in WINDOW_NAMES


# --- windows ----------------------------------------------------------------------------------------------------

KINDS = {
    "CronDataIntervalTimetable": "cron",
    "CronTriggerTimetable": "cron-trigger",
    "MultipleCronTriggerTimetable": "cron-trigger",
    "DeltaDataIntervalTimetable": "delta",
    "DeltaTriggerTimetable": "delta-trigger",
    "DatasetTriggeredTimetable": "dataset",
    "AssetTriggeredTimetable": "asset",
    "DatasetOrTimeSchedule": "dataset-or-time",
    "AssetOrTimeSchedule": "asset-or-time",
    "CronPartitionTimetable": "cron-partition",
    "PartitionedAssetTimetable": "asset-partition",
    "PartitionedAtRuntime": "runtime-partition",
    "EventsTimetable": "events",
    "NullTimetable": "none",
    "OnceTimetable": "once",
    "ContinuousTimetable": "continuous",
}
#: Kinds whose runs no schedule determines.
UNSCHEDULED = {"dataset", "asset", "none", "continuous", "asset-partition", "runtime-partition"}
PARTITIONED = {"cron-partition", "asset-partition", "runtime-partition"}
#: Kinds with a time schedule inside, which datasets or assets trigger as well.
ALSO_TRIGGERED = {"dataset-or-time", "asset-or-time"}


@dataclasses.dataclass
class Walk:
    """The runs of a span that Airflow's timetable yields when it catches up: `windows`, which may be empty, or else
    `partitions`, as (date, date) with the key of each in `keys`."""

    windows: list[tuple[datetime, datetime]] = dataclasses.field(default_factory=list)
    partitions: list[tuple[datetime, datetime]] = dataclasses.field(default_factory=list)
    due: dict[tuple[datetime, datetime], datetime] = dataclasses.field(default_factory=dict)
    keys: dict[tuple[datetime, datetime], str] = dataclasses.field(default_factory=dict)
    cut: bool = False
    stuck: str | None = None
    warnings: list[str] = dataclasses.field(default_factory=list)

    @property
    def runs(self) -> list[tuple[datetime, datetime]]:
        return self.partitions or self.windows


def class_path(kind: type) -> str:
    return f"{shown_module(kind.__module__)}.{kind.__qualname__}"


def timetable_of(dag: Any) -> Any:
    """The scheduler's form of the timetable; in Airflow 3 DAG files have another form."""
    timetable = dag.timetable
    if hasattr(timetable, "next_dagrun_info") or hasattr(timetable, "next_dagrun_info_v2"):
        return _remembering(timetable)
    try:
        from airflow.serialization.encoders import coerce_to_core_timetable
    except ImportError:
        from airflow.serialization.serialized_objects import DagSerialization

        return _remembering(DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)).timetable)
    try:
        return _remembering(coerce_to_core_timetable(timetable))
    except Exception as error:  # EventsTimetable of airflow.sdk 3.3.2, for one
        raise CannotExport(
            f"Airflow {airflow_version()} cannot read its timetable {class_path(type(timetable))} back from its own "
            f"serialization ({describe(error)}), and so its scheduler would not run it either"
        ) from error


def clock_of(timetable: Any) -> Any:
    """The timetable itself, or the time schedule inside one that datasets or assets trigger as well."""
    return timetable.timetable if kind_of(timetable) in ALSO_TRIGGERED else timetable


def crons_of(timetable: Any) -> list[Any]:
    """The parts of a timetable of several crons, or else the timetable itself."""
    clock = clock_of(timetable)
    return getattr(clock, "_timetables", None) or [clock]


def _remembering(timetable: Any) -> Any:
    """Cache the last steps of a cron: a walk asks for each three times, and one takes 0.1 ms."""
    with contextlib.suppress(AttributeError, TypeError):
        if timetable.__class__.__module__.startswith("airflow.timetables") and hasattr(
            timetable, "_expression"
        ):
            for step in ("_get_next", "_get_prev", "_align_to_next"):
                if not hasattr(getattr(timetable, step), "cache_info"):
                    setattr(timetable, step, functools.lru_cache(maxsize=512)(getattr(timetable, step)))
    return timetable


def kind_of(timetable: Any) -> str:
    kind = KINDS.get(type(timetable).__name__, "custom")
    return kind if type(timetable).__module__.startswith("airflow.") else "custom"


def zone_of(dag: Any, timetable: Any) -> Any:
    return getattr(crons_of(timetable)[0], "_timezone", None) or dag.timezone


def zone_name(zone: Any) -> str:
    """An IANA name; `+05:30` for an offset that never changes, whichever library made it, and `UTC` for none."""
    named = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if named:
        return str(named)
    with contextlib.suppress(Exception):  # a library may raise for a zone whose offset depends on the date
        offset = zone.utcoffset(None)
        if isinstance(offset, timedelta):
            return _offset_name(offset)
    return str(getattr(zone, "name", None) or zone)


def _offset_name(offset: timedelta) -> str:
    if not offset:
        return "UTC"
    sign, size = ("-", -offset) if offset < timedelta() else ("+", offset)
    minutes, rest = divmod(int(size.total_seconds()), 60)
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}" + (f":{rest:02}" if rest else "")


def walk(dag: Any, timetable: Any, zone: Any, span: tuple[datetime, datetime]) -> Walk:
    """Every window that starts in the span, catching up from the DAG's own start; bounded.

    `zone` is that of the timetable, whose clock changes matter.
    """
    earliest, latest = bounds(dag)
    if kind_of(timetable) in UNSCHEDULED or earliest is None:
        return Walk()
    if kind_of(timetable) not in ("cron", "delta", "cron-trigger", "delta-trigger"):
        return _walk(timetable, zone, earliest, latest, span)
    # Many DAGs have the same schedule, and a walk takes longer than the rest.
    parts = crons_of(timetable)
    key = (
        class_path(type(timetable)), tuple(getattr(each, "_expression", None) for each in parts), zone_name(zone),
        span, str(getattr(timetable, "_delta", None)), str(getattr(parts[0], "_interval", None)), utc(earliest),
        utc(latest) if latest else None,
    )  # fmt: skip
    if key not in _WALKS:
        _WALKS[key] = _walk(timetable, zone, earliest, latest, span)
    return _WALKS[key]


_WALKS: dict[Any, Walk] = {}


def _walk(timetable: Any, zone: Any, earliest: Any, latest: Any, span: tuple[datetime, datetime]) -> Walk:
    walked = Walk()
    begin, end = span
    before: tuple[datetime, datetime] | None = None
    try:
        for start, stop, due, partition in _infos(timetable, earliest, latest, begin, zone):
            if before and due <= before[0]:
                walked.stuck = (
                    f"after the window from {iso(before[1])} its timetable comes back to {iso(start)}"
                )
                break
            before = (due, start)
            if start >= end:
                break
            if start < begin:
                continue
            if len(walked.runs) == MAX_WINDOWS:
                walked.cut = True
                break
            walked.due[start, stop] = due
            if partition is None:
                walked.windows.append((start, stop))
            else:
                walked.partitions.append((start, stop))
                walked.keys[start, stop] = partition
    except _TooFar:
        walked.stuck = (
            f"its timetable does not reach {iso(begin)} in {MAX_STEPS:,} steps from {iso(earliest)}"
        )
    except _NoInterval:
        walked.warnings.append("its runs have neither a data interval nor a partition key: no windows")
    except Exception as error:
        walked.stuck = f"its timetable raises {describe(error)}"
    return walked


class _TooFar(Exception):
    """The timetable used up all its steps."""


class _NoInterval(Exception):
    """A run in Airflow 3 has no data interval, and no partition key either."""


def span_of(dag: Any, request: Request) -> tuple[datetime, datetime]:
    """The requested days as a half-open pair of instants. Days are read in the DAG's own time zone, even where its
    timetable has another."""
    return _midnight(request.first, dag.timezone), _midnight(request.last + timedelta(days=1), dag.timezone)


def task_bounds(task: Any) -> tuple[datetime | None, datetime | None]:
    """From when to when, both included, Airflow creates instances of the task: `task_filter` of DagRun compares a
    run's logical date with these bounds. Where a task has none of its own, Airflow has given it the DAG's."""
    from airflow.utils import timezone as zones

    start, end = (getattr(task, name, None) for name in ("start_date", "end_date"))
    return (
        utc(zones.coerce_datetime(start)) if start else None,
        utc(zones.coerce_datetime(end)) if end else None,
    )


def within(
    windows: list[tuple[datetime, datetime]], start: datetime | None, end: datetime | None
) -> list[tuple[datetime, datetime]]:
    """The windows whose runs have an instance of a task with these bounds."""
    return [
        window
        for window in windows
        if (start is None or start <= window[0]) and (end is None or window[0] <= end)
    ]


def bounds(dag: Any) -> tuple[Any, Any]:
    """From when to when Airflow schedules, taking the tasks' own dates into account as `DAG._time_restriction` does."""
    from airflow.utils import timezone as zones

    starts = [holder.start_date for holder in (dag, *dag.tasks) if holder.start_date is not None]
    ends = [task.end_date for task in dag.tasks if task.end_date is not None]
    latest = dag.end_date
    if ends and len(ends) == len(dag.tasks):
        latest = max([*ends, latest] if latest else ends)
    return (
        zones.coerce_datetime(min(starts)) if starts else None,
        zones.coerce_datetime(latest) if latest else None,
    )


def _infos(timetable: Any, earliest: Any, latest: Any, begin: datetime, zone: Any) -> Iterator[Any]:
    from airflow.timetables.base import TimeRestriction

    earliest, last = _entry(timetable, earliest, begin, zone)
    restriction = TimeRestriction(earliest, latest, True)
    by_info = hasattr(timetable, "next_dagrun_info_v2")
    for _ in range(MAX_STEPS + MAX_WINDOWS):
        if by_info:
            info = timetable.next_dagrun_info_v2(last_dagrun_info=last, restriction=restriction)
        else:
            interval = last.data_interval if last else None
            info = timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction)
        if info is None:
            return
        if info.data_interval is not None:
            yield utc(info.data_interval.start), utc(info.data_interval.end), utc(info.run_after), None
        elif info.partition_key is None:
            raise _NoInterval
        else:
            at = utc(info.partition_date or info.run_after)
            yield at, at, utc(info.run_after), str(info.partition_key)
        last = info
    raise _TooFar


def _entry(timetable: Any, earliest: Any, begin: datetime, zone: Any) -> tuple[Any, Any]:
    """Where a walk may start with the same outcome as from the DAG's start.

    A cron has no memory, so its walk can start shortly before the span, except in zones that change their clocks by
    less than an hour, where Airflow's hourly timetable may be stuck for good, and where the key of a run is some ticks
    away from it. A timedelta is counted from the DAG's start, so its walk starts a whole number of steps after that.
    Any other walk starts at the DAG's start.
    """
    from airflow.timetables.base import DagRunInfo

    if kind_of(timetable) == "custom":
        return earliest, None
    clock, crons = clock_of(timetable), crons_of(timetable)
    name, delta = type(clock).__name__, getattr(clock, "_delta", None)
    if hasattr(crons[0], "_expression"):
        interval = getattr(crons[0], "_interval", timedelta())
        offset = getattr(clock, "_run_offset", 0)
        if offset or not isinstance(interval, timedelta) or _odd_changes(zone, earliest, begin):
            return earliest, None
        near = begin - timedelta(days=2)
        return (_like(earliest, near) if near > earliest else earliest), None
    if isinstance(delta, timedelta) and delta > timedelta():
        steps = (begin - utc(earliest)) // delta - 2
        if steps > 0:
            end = earliest + steps * delta
            start = end - delta if name == "DeltaDataIntervalTimetable" else end
            return earliest, DagRunInfo.interval(start=start, end=end)
    return earliest, None


def _like(pendulum_time: Any, instant: datetime) -> Any:
    """`instant` as the kind of object that Airflow's timetables accept."""
    return pendulum_time + (instant - pendulum_time)


def _odd_changes(zone: Any, start: datetime, end: datetime) -> bool:
    return any(abs(by.total_seconds()) % 3600 for _, by in changes(zone, start, end))


class SameObject:
    """A key for a cache that stands for the very object: the zones of some versions of pendulum cannot be hashed."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SameObject) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def changes(zone: Any, start: datetime, end: datetime) -> list[tuple[datetime, timedelta]]:
    """The instants in [start, end] at which `zone` changes its clocks, and by how much."""
    return _changes(SameObject(zone), start, end)


@functools.lru_cache(maxsize=None)  # noqa: UP033 - Python 3.8
def _changes(of: SameObject, start: datetime, end: datetime) -> list[tuple[datetime, timedelta]]:
    zone, changed = of.value, []
    low, step = utc(start) - timedelta(days=1), timedelta(days=1)
    stop = utc(end) + step
    while low < stop:
        high = low + step
        before, after = _offset(zone, low), _offset(zone, high)
        if before != after:
            left, right = low, high
            while right - left > timedelta(seconds=1):
                middle = left + (right - left) // 2
                left, right = (middle, right) if _offset(zone, middle) == before else (left, middle)
            changed.append((right.replace(microsecond=0), after - before))
        low = high
    return changed


def _offset(zone: Any, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def utc(instant: Any) -> datetime:
    """A plain datetime in UTC, from any subclass and zone."""
    there = instant.astimezone(UTC)
    return datetime(
        there.year,
        there.month,
        there.day,
        there.hour,
        there.minute,
        there.second,
        there.microsecond,
        UTC,
    )


def iso(instant: Any) -> str:
    return utc(instant).isoformat()


def _midnight(day: date, zone: Any) -> datetime:
    return utc(datetime.combine(day, time(), tzinfo=zone))


def samples(
    windows: list[tuple[datetime, datetime]], dag_zone: Any, zone: Any, request: Request
) -> tuple[list[tuple[datetime, datetime, list[str]]], list[str]]:
    """The windows to render, each with the reasons for rendering it, and notes on requests that found none.

    Days are read in the DAG's zone; clock changes are those of `zone`, the timetable's.
    """
    reasons: dict[int, list[str]] = {}
    notes = []
    if windows:
        reasons[0] = ["first"]
        reasons.setdefault(len(windows) - 1, []).append("last")
    starts = [start for start, _ in windows]
    for boundary in _month_ends(request.first, request.last):
        # The window in which the month ends: the last one that starts before the next month does.
        ends = _midnight(boundary, dag_zone)
        index = _bisect(starts, ends) - 1
        if index >= 0 and (windows[index][1] >= ends or starts[index] >= ends - timedelta(days=28)):
            reasons.setdefault(index, []).append("month-end")
    first, last = _midnight(request.first, dag_zone), _midnight(request.last + timedelta(days=1), dag_zone)
    for change, _ in changes(zone, first, last):
        index = _bisect(starts, change)
        for near in {index - 1, index}:
            if 0 <= near < len(windows) and windows[near][0] <= change <= windows[near][1]:
                reasons.setdefault(near, []).append("dst")
    for start, end in request.spans:
        low, high = (_bisect(starts, moment(text, dag_zone)) for text in (start, end))
        if windows and low == high:
            notes.append(f"no window of the span starts in {start}/{end}")
        for index in range(low, high):
            reasons.setdefault(index, []).append("asked")
    if len(reasons) > MAX_SAMPLES:
        notes.append(f"{len(reasons):,} windows were asked for, the first {MAX_SAMPLES:,} are rendered")
    return [
        (*windows[index], list(dict.fromkeys(reasons[index]))) for index in sorted(reasons)[:MAX_SAMPLES]
    ], notes


def _bisect(starts: list[datetime], instant: datetime) -> int:
    import bisect

    return bisect.bisect_left(starts, instant)


def _month_ends(first: date, last: date) -> Iterator[date]:
    """The first day of each month that begins in the span or the day after it."""
    month = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    while month <= last + timedelta(days=1):
        yield month
        month = date(month.year + month.month // 12, month.month % 12 + 1, 1)


# --- values -----------------------------------------------------------------------------------------------------


class Values:
    """Python values as JSON, without memory addresses and without values of the process's environment."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault

    def plain(self, value: Any, name: str = "", depth: int = 0) -> Any:
        """`name` is the key or field that holds the value: a sensitive one hides it."""
        if isinstance(value, str):
            if name and not has_template(value) and value and self.vault.is_sensitive(name):
                return MASKED
            return str(value)
        if value is None or isinstance(value, (bool, int)):
            return value
        if isinstance(value, float):
            return value if value == value and abs(value) != float("inf") else str(value)
        if depth > 20:
            return {"__class__": class_path(type(value))}
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, (list, tuple)):
            return [self.plain(inner, name, depth + 1) for inner in value]
        if isinstance(value, (set, frozenset)):
            return sorted((self.plain(inner, name, depth + 1) for inner in value), key=str)
        return self._object(value, depth)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        inherited = self.vault.inherited(value)
        dropped = inherited if self.vault.is_copy(inherited) else set()
        shown = {
            str(key): MASKED if key in inherited else self.plain(inner, str(key), depth + 1)
            for key, inner in value.items()
            if key not in dropped
        }
        # ECS and Kubernetes write an environment as a list of {name, value}.
        if {"name", "value"} <= set(shown):
            name = str(value["name"])
            is_inherited = bool(self.vault.inherited({name: value["value"]}))
            shown["value"] = MASKED if is_inherited else self.plain(value["value"], name, depth + 1)
        return shown

    def with_marks(self, arguments: Any) -> Any:
        """A function's arguments, with marks for XComs that are arguments as they stand; None if others are in it."""
        if isinstance(arguments, Mapping):
            marked = self.with_marks(list(arguments.values()))
            return None if marked is None else {name: marked[place] for place, name in enumerate(arguments)}
        if not isinstance(arguments, (list, tuple)):
            return None
        marked = [
            self.plain(each) if "XComArg" in {parent.__name__ for parent in type(each).__mro__} else each
            for each in arguments
        ]
        return None if parts_of_value(marked, self.vault)[1] else marked

    def _object(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if isinstance(value, Unknown):
            return str(value)
        if isinstance(value, (datetime, date)):
            return value.isoformat()
        if isinstance(value, timedelta):
            return {"__class__": "datetime.timedelta", "seconds": value.total_seconds()}
        if isinstance(value, (Path, bytes)):
            return str(value) if isinstance(value, Path) else {"__class__": "bytes"}
        names = [parent.__name__ for parent in kind.__mro__]
        if "XComArg" in names:
            operators = [reference[0].task_id for reference in value.iter_references()]
            return {"__xcom__": sorted(set(operators)), "key": getattr(value, "key", None)}
        if "LiteralValue" in names:
            return {"__literal__": self.plain(value.value, "", depth + 1)}
        if "Param" in names:
            return self.plain(no_value(value.value), "", depth + 1)
        if inspect.isroutine(value) or isinstance(value, functools.partial):
            return {"__callable__": callable_name(value)}
        if inspect.isclass(value):
            return {"__class__": "type", "name": class_path(value)}
        return {"__class__": class_path(kind), **self._mapping(_parts_of(value), depth)}


#: The fields with what a function is called with.
ARGUMENTS = ("op_args", "op_kwargs")


def _parts_of(value: Any) -> dict[str, Any]:
    """The public parts of an object: template fields, `to_dict`, or dataclass fields."""
    if fields := getattr(value, "template_fields", None):
        return {field: getattr(value, field, None) for field in fields}
    if callable(getattr(value, "to_dict", None)) and not inspect.isclass(value):
        with contextlib.suppress(Exception):
            parts = value.to_dict()
            if isinstance(parts, Mapping):
                return {str(key): inner for key, inner in parts.items() if inner is not None}
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    return {}


def no_value(value: Any) -> Any:
    """None for Airflow's sentinels that mean "not given"."""
    kinds = {parent.__name__ for parent in (value if inspect.isclass(value) else type(value)).__mro__}
    return None if kinds & {"ArgNotSet", "NOTSET"} else value


def callable_name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{shown_module(getattr(function, '__module__', None) or type(function).__module__)}.{name}"


def seconds(value: Any) -> float | None:
    """The length of a number, a timedelta or a relativedelta; None if it depends on the date that it is added to."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if type(value).__name__ == "relativedelta":
        absolute = ("year", "month", "day", "hour", "minute", "second", "microsecond", "weekday")
        if value.years or value.months or value.leapdays or any(getattr(value, name) for name in absolute):
            return None
        parts = ("days", "hours", "minutes", "seconds", "microseconds")
        return timedelta(**{name: getattr(value, name) for name in parts}).total_seconds()
    return float(value) if isinstance(value, (int, float)) else None


def describe(error: BaseException) -> str:
    """Exception and message on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:2000]


# --- tasks ------------------------------------------------------------------------------------------------------

CALLBACKS = (
    "on_execute_callback", "on_failure_callback", "on_success_callback", "on_retry_callback", "on_skipped_callback",
    "sla_miss_callback", "deadline",
)  # fmt: skip
#: Arguments that are not templates and yet change what a command does or when a sensor succeeds.
SETTINGS = (
    "cwd", "append_env", "skip_on_exit_code", "external_dag_id", "external_task_id",
    "external_task_ids", "external_task_group_id", "allowed_states", "failed_states", "execution_delta",
    "execution_date_fn", "project_dir", "install_deps", "mode", "timeout", "poke_interval", "soft_fail",
    "ignore_downstream_trigger_rules", "wait_for_completion", "trigger_dag_id",
    "conn_id", "postgres_conn_id", "snowflake_conn_id", "autocommit", "split_statements", "database", "hook_params",
    "image", "entrypoint", "full_pod_spec", "pod_template_file", "pod_template_dict",
)  # fmt: skip


#: Arguments with which a sensor that waits for another DAG does something else than to ask for states.
UNLIKE_WAITS = ("check_existence", "deferrable", "never_fail", "silent_fail", "retry_exponential_backoff")


#: Arguments of what starts a container or a command elsewhere; their values are shown where they were given.
ELSEWHERE = (
    "ssh_conn_id", "remote_host", "get_pty", "conn_timeout", "cmd_timeout", "docker_url", "kubernetes_conn_id",
    "cluster_name", "cluster_context", "namespace", "in_cluster", "network_mode", "working_dir", "user", "mounts",
    "mount_tmp_dir", "tmp_dir", "mem_limit", "shm_size", "dns", "dns_search", "cap_add", "extra_hosts", "privileged",
    "tty", "ipc_mode", "cpus", "labels", "annotations", "service_account_name", "automount_service_account_token",
    "node_selector", "tolerations", "affinity", "image_pull_secrets", "image_pull_policy", "hostnetwork", "hostname",
    "subdomain", "host_aliases", "dnspolicy", "dns_config", "priority_class_name", "schedulername",
    "runtime_class_name", "security_context", "container_security_context", "termination_grace_period",
    "termination_message_policy", "active_deadline_seconds", "volumes", "volume_mounts", "container_resources",
    "env_from", "ports",
)  # fmt: skip
#: Packages whose operators have a field for each option of dbt; their values are shown where they were given.
WITH_OPTIONS = ("cosmos", "airflow_dbt", "airflow_dbt_python")
#: What every operator has is described elsewhere, but for this, which a pod has a container of its own for.
OF_A_POD = "do_xcom_push"


def given_arguments(task: Any) -> list[str] | None:
    """The names of the arguments that an operator of a library has, beside those of every operator, with another value
    than the default, whoever gave it: the DAG file, default_args, a subclass or a policy. None if that is not known."""
    given = getattr(task, "_BaseOperator__init_kwargs", None)
    kind: Any = type(task)
    if is_mapped(task) or _is_teams(kind) or not isinstance(given, Mapping):
        return None
    defaults = _defaults_of(kind)
    names = {name for name, value in given.items() if name in defaults and _differs(value, defaults[name])}
    names |= {name for name in given if name not in defaults and name not in _of_every_operator(kind)}
    # A policy may set what nobody has given.
    names |= {name for name in defaults if not defaults[name] and _is_set(vars(task).get(name))}
    return sorted(names | _pods_are_changed(task))


@functools.lru_cache(maxsize=None)  # noqa: UP033 - Python 3.8
def _defaults_of(kind: Any) -> dict[str, Any]:
    """The operator's own arguments, with those of its bases below BaseOperator."""
    defaults: dict[str, Any] = {}
    for parent in reversed(kind.__mro__):
        if "__init__" in vars(parent):
            for name, parameter in inspect.signature(vars(parent)["__init__"]).parameters.items():
                if (
                    parameter.kind is parameter.KEYWORD_ONLY
                    or parameter.kind is parameter.POSITIONAL_OR_KEYWORD
                ):
                    defaults[name] = None if parameter.default is parameter.empty else parameter.default
    return {name: value for name, value in defaults.items() if name not in _of_every_operator(kind)}


@functools.lru_cache(maxsize=None)  # noqa: UP033 - Python 3.8
def _of_every_operator(kind: Any) -> frozenset[str]:
    base = next(parent for parent in kind.__mro__ if parent.__name__ == "BaseOperator")
    own = inspect.signature(vars(base)["__init__"]).parameters
    return frozenset({"self", "kwargs", "args", *own} - {OF_A_POD})


def _differs(value: Any, default: Any) -> bool:
    """Whatever is empty means the same to an operator, but for a `False` where nothing is decided by default."""
    if not value and not default:
        return value is False and default is None
    try:
        return bool(value != default)
    except Exception:
        return True


def _is_set(value: Any) -> bool:
    return isinstance(value, (bool, int, str, list, dict)) and bool(value)


def _pods_are_changed(task: Any) -> set[str]:
    """The name of the team's hook that changes each pod before it starts, if there is one."""
    if not any(parent.__name__ == "KubernetesPodOperator" for parent in type(task).__mro__):
        return set()
    from airflow import settings

    manager = getattr(settings, "POLICY_PLUGIN_MANAGER", None)
    if manager is None and hasattr(settings, "get_policy_plugin_manager"):
        manager = settings.get_policy_plugin_manager()
    if manager is None:  # before 2.6 it replaced the function
        return set()
    return {"pod_mutation_hook"} if len(manager.hook.pod_mutation_hook.get_hookimpls()) > 1 else set()


def callback_name(callback: Any) -> str:
    """A deadline alert of Airflow 3 has a callback, which has the path of its function."""
    path = getattr(getattr(callback, "callback", None), "path", None)
    if not isinstance(path, str):
        return callable_name(callback)
    module, _, name = path.rpartition(".")
    return f"{shown_module(module)}.{name}"


def callbacks(holder: Any) -> dict[str, list[str]]:
    named = {}
    for name in CALLBACKS:
        value = getattr(holder, name, None)
        functions = value if isinstance(value, (list, tuple)) else [value]
        if names := [callback_name(function) for function in functions if function is not None]:
            named[name] = names
    return named


def email_of(task: Any) -> dict[str, Any] | None:
    """Whom Airflow mails of the task's failures; None if nobody."""
    addresses = getattr(task, "email", None)
    listed = re.split(r"\s*[,;]\s*", addresses) if isinstance(addresses, str) else addresses or ()
    to = [str(address).strip() for address in listed if str(address).strip()]
    on = {f"on_{kind}": bool(getattr(task, f"email_on_{kind}", True)) for kind in ("failure", "retry")}
    return {"to": to, **on} if to and any(on.values()) else None


def params_of(holder: Any, values: Values) -> dict[str, Any]:
    """Names and defaults. They are read one by one, because Airflow raises for a parameter without a default."""
    defaults: dict[str, Any] = {}
    params = getattr(holder, "params", None) or {}
    for name in params:
        value = params.get_param(name) if hasattr(params, "get_param") else params[name]
        defaults[str(name)] = values.plain(no_value(getattr(value, "value", value)), str(name))
    return defaults


def is_mapped(task: Any) -> bool:
    if "MappedOperator" in {parent.__name__ for parent in type(task).__mro__}:
        return True
    return in_mapped_group(task)


def in_mapped_group(task: Any) -> bool:
    group = getattr(task, "get_closest_mapped_task_group", None)
    return bool(group and group() is not None)


def operator_classes(task: Any) -> tuple[str, list[str]]:
    """The operator's class path, and its bases up to Airflow's BaseOperator."""
    kind = getattr(task, "operator_class", None) if not inspect.isclass(task) else task
    if not inspect.isclass(kind) or "MappedOperator" not in {base.__name__ for base in type(task).__mro__}:
        kind = type(task)
    bases = []
    for parent in kind.__mro__[1:]:
        bases.append(class_path(parent))
        if parent.__name__ == "BaseOperator":
            break
    return class_path(kind), [base for base in bases if base != "builtins.object"]


def raw_fields(task: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The templated fields as they were written: those with a single value, and those given to `expand`."""
    if "MappedOperator" not in {base.__name__ for base in type(task).__mro__}:
        return {field: getattr(task, field, None) for field in task.template_fields}, {}
    partial = task.partial_kwargs
    expanded: dict[str, Any] = {}
    for source in ("expand_input", "op_kwargs_expand_input"):
        value = getattr(getattr(task, source, None), "value", None)
        if isinstance(value, Mapping):
            expanded.update({"op_kwargs": value} if source != "expand_input" else value)
        elif value is not None:
            expanded["op_kwargs" if source != "expand_input" else "*"] = value
    fields = {field: partial.get(field) for field in task.template_fields if field not in expanded}
    named = set(task.template_fields) | {"*"}
    # @task.expand keeps its arguments under op_kwargs, whatever they are called.
    inner = {name: value for name, value in expanded.items() if name not in named}
    if inner and "op_kwargs" in task.template_fields:
        expanded.setdefault("op_kwargs", inner)
        fields.pop("op_kwargs", None)
    return fields, {name: value for name, value in expanded.items() if name in named}


@functools.lru_cache(maxsize=None)  # noqa: UP033 - Python 3.8
def _source(code: Any) -> tuple[str | None, int | None]:
    try:
        lines, number = inspect.getsourcelines(code)
    except (OSError, TypeError, SyntaxError):
        return None, None
    return textwrap.dedent("".join(lines)), number


def python_callable(task: Any, folder: Path, values: Values) -> dict[str, Any] | None:
    function = getattr(task, "python_callable", None)
    if function is None:
        partial = getattr(task, "partial_kwargs", None)
        function = partial.get("python_callable") if isinstance(partial, Mapping) else None
    if function is None:
        return None
    reaches = reached_by(function)
    placed: list[Any] = []
    named: dict[str, Any] = {}
    while isinstance(function, functools.partial):
        placed, named = [*function.args, *placed], {**function.keywords, **named}
        function = function.func
    is_shown = _is_plain(placed) and _is_plain(named)
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    text, line = _source(code) if code else (None, None)
    return {
        "module": shown_module(getattr(function, "__module__", None) or ""),
        "qualname": getattr(function, "__qualname__", type(function).__qualname__),
        "file": relative(code.co_filename, folder) if code else None,
        "line": line,
        "source": text,
        "reaches": reaches,
        "returns": _what_becomes_of_it(task),
        "placed": values.plain(placed) if is_shown else None,
        "named": values.plain(named) if is_shown else None,
        "code": _called_code(function, values),
    }


def _what_becomes_of_it(task: Any) -> str:
    """What Airflow makes of the value that the callable returns: no XCom, one, or one for each key of it besides."""
    known = {**vars(task), **dict(getattr(task, "partial_kwargs", None) or {})}
    if not known.get("do_xcom_push", True):
        return "nothing"
    return "multiple_outputs" if known.get("multiple_outputs") else "xcom"


MOST_REACHED = 400  # functions of the team's own code that are followed from one callable


def reached_by(*roots: Any) -> list[str]:
    """The modules, functions and classes of libraries that code can reach by name, as `package.module.name`.

    The team's own functions and classes are followed, through wrappers, closures, partials and helpers of helpers;
    nothing is called or imported. `?name` is a name that cannot be followed from here.
    """
    reached: set[str] = set()
    seen: set[int] = set()
    todo: list[Any] = list(roots)
    while todo:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if len(seen) > 20 * MOST_REACHED:
            reached.add("?more")
            break
        if isinstance(item, functools.partial):
            todo += [item.func, *item.args, *item.keywords.values()]
        elif inspect.ismethod(item):
            todo += [item.__func__, type(item.__self__)]
        elif isinstance(item, (staticmethod, classmethod)):
            todo.append(item.__func__)
        elif isinstance(item, property):
            todo += [item.fget, item.fset]
        elif inspect.isfunction(item) or inspect.isclass(item):
            if not _is_teams(item) and hasattr(item, "__wrapped__"):
                todo.append(item.__wrapped__)  # Airflow wraps `execute`, contextlib a generator
            elif not _is_teams(item):
                reached.add(callable_name(item))
            elif inspect.isclass(item):
                todo += [*vars(item).values(), *item.__bases__]
            else:
                todo += _used_by(item, reached)
        elif inspect.ismodule(item):
            reached.add(shown_module(item.__name__) if not _is_teams(item) else f"?{item.__name__}")
        elif isinstance(item, Mapping):
            todo += item.values()
        elif isinstance(item, (list, tuple, set, frozenset)):
            todo += item
        elif inspect.isroutine(item):
            reached.add(callable_name(item))
        elif item is not None and not isinstance(
            item, (str, bytes, int, float, Path, date, timedelta, property)
        ):
            todo.append(type(item))
    return sorted(reached - {"builtins.object"})


def _used_by(function: Any, reached: set[str]) -> list[Any]:
    """The values of the names that a function's code uses. Names that it imports in its body are added to `reached`."""
    import builtins
    import dis

    values = [function.__defaults__ or (), function.__kwdefaults__ or {}]
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # a cell that is not filled yet
            values.append(cell.cell_contents)
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [constant for constant in code.co_consts if inspect.iscode(constant)]
        held: Any = None  # the module that the previous step has loaded
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                name = step.argval
                value = function.__globals__.get(name, getattr(builtins, name, reached))
                if value is reached:
                    reached.add(f"?{name}")
                    held = None
                elif inspect.ismodule(value):
                    held = value
                    continue
                else:
                    values.append(value)
            elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and held is not None:
                value = getattr(held, step.argval, None)
                if inspect.ismodule(value):
                    held = value
                    continue
                if _is_teams(held):
                    values.append(value)
                else:
                    reached.add(f"{held.__name__}.{step.argval}")
            elif step.opname == "IMPORT_NAME":
                reached.add(f"import {step.argval}")
            elif held is not None:
                values.append(held)
            held = None
    return values


MOST_DEFINED = (
    60  # classes and functions of the team's own code that an operator's `execute` is followed into
)


def own_code(task: Any, values: Values, folder: Path) -> dict[str, Any] | None:
    """The source of a custom operator's classes and of what they use of the team's own, for an operator with its own
    `execute`; nothing is called or imported. Of values that are not plain, what they are."""
    of_instances = getattr(task, "operator_class", None)
    kind = of_instances if inspect.isclass(of_instances) else type(task)
    teams = [each for each in kind.__mro__ if _is_teams(each)]
    if not any("execute" in vars(each) for each in teams):
        return None
    if is_mapped(task):  # an instance gets its values while it runs: nothing of it can be followed
        return {"definitions": {}, "attributes": {}, "others": {}, "unshown": sorted(map(class_path, teams))}
    definitions, unshown = _defined_from(teams, values)
    sources = [each["source"] for each in definitions.values()]
    words = {name for source in sources for name in re.findall(r"\w+", source)}
    private = tuple(f"_{path.rpartition('.')[2].lstrip('_')}__" for path in definitions)
    read = {name for name in vars(task) if name in words or name.startswith(private)}
    read |= {name for source in sources for name in re.findall(r"\bself\.(\w+)", source)}
    attributes, others = {}, {}
    for name in sorted(read - set(task.template_fields)):
        of_class = inspect.getattr_static(kind, name, Path)
        value = of_class if isinstance(of_class, property) else vars(task).get(name, of_class)
        if _is_plain(value):
            attributes[name] = values.plain(value, name)
        elif value is not of_class:
            others[name] = _named_value(value, name, values)
    return {
        "definitions": definitions,
        "attributes": attributes,
        "others": others,
        "unshown": sorted(unshown),
    }


def _defined_from(roots: list[Any], values: Values) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """The source of functions and classes, and of what they use of the team's own, by path; and the paths of what of
    the team's own has no source to show."""
    definitions: dict[str, dict[str, Any]] = {}
    seen: dict[str, Any] = {}
    unshown: set[str] = set()
    todo: list[Any] = list(roots)
    while todo:
        item = todo.pop(0)
        path = class_path(item) if inspect.isclass(item) else callable_name(item)
        if path in seen:
            unshown.update([path] if seen[path] is not item else [])  # two of them have one name
            continue
        seen[path] = item
        source = _whole_source(item) if len(definitions) < MOST_DEFINED else None
        if source is None:
            unshown.add(path)
            continue
        names: dict[str, Any] = {}
        for function in _functions_of(item):
            for name, value in _globals_of(function):
                names[name] = _named_value(value, name, values)
                target = value.func if isinstance(value, functools.partial) else value
                if _is_followed(target):
                    todo.append(target)
                elif inspect.ismodule(target):
                    unshown.update([shown_module(target.__name__)] if _is_teams(target) else [])
                elif inspect.isroutine(target) and _is_teams(inspect.unwrap(target)):
                    unshown.add(callable_name(target))
        bases = item.__mro__ if inspect.isclass(item) else ()
        todo += [each for each in bases if _is_teams(each)]
        definitions[path] = {
            "source": source,
            "mro": [class_path(each) for each in bases],
            "names": names,
            "values": _values_in(item, values),
        }
    return {path: each for path, each in definitions.items() if path not in unshown}, unshown


def _called_code(function: Any, values: Values) -> dict[str, Any] | None:
    """The source of a callable with what it calls of the team's own, if dbt is mentioned there; None for a callable
    that calls nothing of the kind, whose own source says it all."""
    if not _is_followed(function):
        return None
    definitions, unshown = _defined_from([function], values)
    if len(definitions) < 2 or not any("dbt" in each["source"].lower() for each in definitions.values()):
        return None
    return {"definitions": definitions, "attributes": {}, "others": {}, "unshown": sorted(unshown)}


def _values_in(item: Any, values: Values) -> dict[str, Any]:
    """What a class has beside methods and properties, which its source shows; nothing for a function."""
    methods = (staticmethod, classmethod, property, functools.cached_property)
    return {
        name: _named_value(value, name, values)
        for name, value in (vars(item).items() if inspect.isclass(item) else ())
        if not (name.startswith("__") or inspect.isfunction(value) or isinstance(value, methods))
    }


def _is_followed(value: Any) -> bool:
    return (inspect.isclass(value) or inspect.isfunction(value)) and _is_teams(value)


def _whole_source(item: Any) -> str | None:
    """The source of a function or class; None if some of its functions stand elsewhere, as after a replacement."""
    text, line = _source(item)
    if text is None or line is None:
        return None
    within = range(line, line + text.count("\n") + 1)
    file = inspect.getsourcefile(item)
    for function in _functions_of(item):
        if function.__code__.co_filename != file or function.__code__.co_firstlineno not in within:
            return None
    return None if any(map(_is_wrapped_unseen, _held_by(item))) else text


def _is_wrapped_unseen(function: Any) -> bool:
    """Whether it was wrapped, and no decorator in its source says so. Airflow itself wraps each `execute`."""
    wrappers = []
    while hasattr(function, "__wrapped__"):
        wrappers.append(str(getattr(function, "__globals__", {}).get("__name__")))
        function = function.__wrapped__
    if all(name.startswith("airflow.") for name in wrappers):
        return False
    return not (_source(function)[0] or "").lstrip().startswith("@")


def _functions_of(item: Any) -> list[Any]:
    """The functions in the body of a class, as they were written; a function itself."""
    found = map(inspect.unwrap, _held_by(item))
    return [function for function in found if inspect.isfunction(function)]


def _held_by(item: Any) -> list[Any]:
    """The functions of a class with whatever wraps them; a function itself."""
    found = []
    for value in vars(item).values() if inspect.isclass(item) else [item]:
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        elif isinstance(value, property):
            value = value.fget
        elif isinstance(value, functools.cached_property):
            value = value.func
        if inspect.isfunction(value) or hasattr(value, "__wrapped__"):
            found.append(value)
    return found


def _globals_of(function: Any) -> Iterator[tuple[str, Any]]:
    """The names that a function takes from its module or from the functions around it."""
    codes, names = [function.__code__], set()
    while codes:
        code = codes.pop()
        codes += [constant for constant in code.co_consts if inspect.iscode(constant)]
        names.update(code.co_names)
    for name in sorted(names & function.__globals__.keys()):
        yield name, function.__globals__[name]
    cells = function.__closure__ or ()
    for name, cell in zip(function.__code__.co_freevars, cells):  # noqa: B905 - Python 3.8
        with contextlib.suppress(ValueError):  # a cell that is not filled yet
            if name != "__class__":
                yield name, cell.cell_contents


def _named_value(value: Any, name: str, values: Values) -> dict[str, Any]:
    """What a name stands for: a plain value, what it refers to, or an object of a class."""
    if isinstance(value, functools.partial):
        if not (_is_plain(value.args) and _is_plain(value.keywords)):
            return {"object": class_path(type(value)), "own": False}
        placed, named = values.plain(value.args), values.plain(value.keywords)
        return {"refers": callable_name(value), "placed": placed, "named": named}
    if inspect.ismodule(value):
        return {"refers": shown_module(value.__name__)}
    if inspect.isclass(value):
        return {"refers": class_path(value)}
    if inspect.isroutine(value):
        return {"refers": callable_name(value)}
    if _is_plain(value):
        return {"value": values.plain(value, name)}
    return {"object": class_path(type(value)), "own": _is_teams(type(value))}


def _is_plain(value: Any, depth: int = 0) -> bool:
    if isinstance(value, (list, tuple)):
        return depth < 5 and len(value) < 500 and all(_is_plain(item, depth + 1) for item in value)
    if isinstance(value, Mapping) and type(value) is dict:
        return (
            depth < 5 and all(isinstance(key, str) for key in value) and _is_plain([*value.values()], depth)
        )
    return value is None or type(value) in (str, int, float, bool)


@functools.lru_cache(maxsize=None)  # noqa: UP033 - Python 3.8
def _library_folders() -> tuple[str, ...]:
    import sysconfig

    own = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(own | {path for path in sys.path if path and _has_installed_packages(path)})


def _has_installed_packages(folder: str) -> bool:
    """Whether pip has installed into it, for this user (as in Airflow's own images) or as a target. What is on Python's
    path inside of such a folder may be the team's."""
    if next(Path(folder).glob("*.dist-info"), None) is None:
        return False
    is_theirs = Path(folder).name in ("site-packages", "dist-packages")
    return is_theirs or not any(other.startswith(folder.rstrip(os.sep) + os.sep) for other in sys.path)


def _is_teams(item: Any) -> bool:
    """Whether its code belongs to the team: neither to Python nor to an installed package."""
    code = getattr(item, "__code__", None)
    file = getattr(code, "co_filename", None) or getattr(item, "__file__", None)
    if file is None and inspect.isclass(item):
        file = getattr(sys.modules.get(item.__module__), "__file__", None)
        if file is None:
            return shown_module(item.__module__) != item.__module__
    return bool(file) and not str(file).startswith(("<frozen", *_library_folders()))


def shown_module(name: str) -> str:
    """The module's name without the hash of its path that Airflow loads a DAG file under."""
    return re.sub(r"^unusual_prefix_[0-9a-f]+_", "", name)


def relative(file: Any, folder: Path) -> str | None:
    try:
        return Path(str(file)).resolve().relative_to(folder).as_posix()
    except ValueError:
        return None


def describe_task(task: Any, values: Values, folder: Path, files: dict[str, str]) -> dict[str, Any]:
    operator, bases = operator_classes(task)
    fields, expanded = raw_fields(task)
    group = getattr(task, "task_group", None)
    templated = {field: values.plain(value, field) for field, value in fields.items()}
    templated.update({field: {"__expand__": values.plain(value, field)} for field, value in expanded.items()})
    settings = {
        name: values.plain(getattr(task, name), name)
        for name in SETTINGS
        if name not in templated and getattr(task, name, None) is not None
    }
    given = given_arguments(task)
    settings.update(
        {
            name: values.plain(vars(task).get(name))
            for name in ELSEWHERE
            if name in (given or ()) and name not in templated
        }
    )
    if _has_dbt_options(task):
        options = {
            name: vars(task).get(name) for name in given or () if name not in {**templated, **settings}
        }
        settings.update(
            {name: values.plain(value, name) for name, value in options.items() if _is_plain(value)}
        )
    start, end = task_bounds(task)
    waits = {"waits": _waits(task)} if is_external_sensor(task) else {}
    kind = (
        getattr(task, "operator_class", None)
        if inspect.isclass(getattr(task, "operator_class", None))
        else type(task)
    )
    return {
        "task_id": task.task_id,
        "operator": operator,
        "bases": bases,
        "reaches": reached_by(kind) if _is_teams(kind) else None,
        "own_code": own_code(task, values, folder) if _is_teams(kind) else None,
        "start": iso(start) if start else None,
        "end": iso(end) if end else None,
        "upstream": sorted(task.upstream_task_ids),
        "trigger_rule": str(getattr(task.trigger_rule, "value", task.trigger_rule)),
        "retries": int(task.retries or 0),
        "retry_delay_seconds": seconds(task.retry_delay),
        "retry_exponential_backoff": bool(task.retry_exponential_backoff),
        "pool": task.pool,
        "pool_slots": task.pool_slots,
        "priority_weight": task.priority_weight,
        "queue": task.queue,
        "execution_timeout_seconds": seconds(task.execution_timeout),
        "sla_seconds": seconds(getattr(task, "sla", None)),
        "depends_on_past": bool(task.depends_on_past),
        "wait_for_downstream": bool(task.wait_for_downstream),
        "mapped": is_mapped(task),
        "in_mapped_group": in_mapped_group(task),
        "task_group": getattr(group, "group_id", None) or None,
        "owner": task.owner,
        "callbacks": callbacks(task),
        "email": email_of(task),
        "inlets": assets_of(getattr(task, "inlets", None)),
        "outlets": assets_of(getattr(task, "outlets", None)),
        "params": params_of(task, values),
        "settings": settings,
        "given": given,
        "templated": templated,
        "template_files": files,
        "rendered": [],
        "python_callable": python_callable(task, folder, values),
        **waits,
    }


def _has_dbt_options(task: Any) -> bool:
    return any(parent.__module__.partition(".")[0] in WITH_OPTIONS for parent in type(task).__mro__)


def is_external_sensor(task: Any) -> bool:
    """Whether it waits for tasks or runs of another DAG; not a mapped one."""
    return not is_mapped(task) and "ExternalTaskSensor" in {base.__name__ for base in type(task).__mro__}


def _waits(task: Any) -> dict[str, Any]:
    """How a sensor judges what it finds, beside what `settings` say; `asks` is filled in once windows are known."""
    return {
        "skipped_states": sorted(str(state) for state in getattr(task, "skipped_states", None) or ()),
        "delta_seconds": seconds(getattr(task, "execution_delta", None)),
        "by_function": getattr(task, "execution_date_fn", None) is not None,
        "unlike": [name for name in UNLIKE_WAITS if getattr(task, name, False)],
        "asks": [],
        "asks_unknown": None,
    }


def ask_function(task: Any, contexts: Contexts, windows: list[tuple[datetime, datetime]]) -> dict[str, Any]:
    """The logical dates that a sensor's `execution_date_fn` returns for the newest windows, as Airflow calls it.

    `asks_unknown`: why they are not known, if it needs what only a run knows, or raises.
    """
    asks: list[dict[str, Any]] = []
    for start, end in windows[-MAX_ASKED:]:
        contexts.touched.names.clear()
        failure = ""
        try:
            answer = task._handle_execution_date_fn(context=contexts.of_task(task, {}, start, end))
            dates = [iso(utc(date)) for date in (answer if isinstance(answer, list) else [answer])]
        except Exception as error:
            failure = f"its function fails: {describe(error)}"
        if contexts.touched.names:
            used = ", ".join(sorted(contexts.touched.names))
            failure = f"its function uses {used}, which only a run knows"
        if failure:
            return {"asks": [], "asks_unknown": failure}
        asks.append({"start": iso(start), "dates": dates})
    return {"asks": asks, "asks_unknown": None}


# --- rendering --------------------------------------------------------------------------------------------------


class Contexts:
    """The names that one DAG's templates see, for any task and window. Shared parts are built once for each window."""

    def __init__(self, dag: Any, timetable: Any, scheduled: bool, walked: Walk) -> None:
        self.dag, self.timetable, self.scheduled, self.walked = dag, timetable, scheduled, walked
        #: names that the schedule determines, although it does not in most DAGs
        self.known = OF_A_PARTITION if walked.keys else set()
        self.no_window = "" if scheduled else NO_LOGICAL_DATE if _has_no_dates(timetable) else NO_SCHEDULE
        self.touched = Touched()
        self._shared: dict[tuple[datetime, datetime], dict[str, Any]] = {}

    def run_id(self, start: datetime, end: datetime) -> str:
        return str(self.of_window(start, end)["run_id"])

    def of_window(self, start: datetime, end: datetime) -> dict[str, Any]:
        if (start, end) not in self._shared:
            due = self.walked.due.get((start, end), end)
            if (start, end) in self.walked.keys:
                key = self.walked.keys[start, end]
                context = _partition_context(self.dag, key, start, due)
            elif airflow_version().startswith("2."):
                context = _airflow_2_context(self.dag, self.timetable, (start, end, due), self.scheduled)
            else:
                context = _airflow_3_context(self.dag, self.timetable, (start, end, due), self.scheduled)
            for name in UNKNOWN_ROOTS:
                if name in context and name not in self.known:
                    text = MASKED if name in ("var", "conn", "conf") else UNDETERMINED
                    context[name] = Unknown(name, self.touched, text)
            context["dag_run"] = Known("dag_run", context["dag_run"], self.touched)
            self._shared[start, end] = context
        return self._shared[start, end]

    def of_task(self, task: Any, params: dict[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
        shared = self.of_window(start, end)
        known = {"task_id": task.task_id, "dag_id": self.dag.dag_id, "task": task, "map_index": -1}
        known.update({name: shared[name] for name in ("run_id", "execution_date") if name in shared})
        ti = Known("ti", known, self.touched)
        return {
            **shared,
            "task": task,
            "ti": ti,
            "task_instance": ti,
            # Without a logical date Airflow 3 takes the run's id.
            "task_instance_key_str": "__".join(
                [self.dag.dag_id, task.task_id, shared.get("ds_nodash") or shared["run_id"]]
            ),
            "params": params,
            "inlets": getattr(task, "inlets", []),
            "outlets": getattr(task, "outlets", []),
        }


def _airflow_2_context(dag: Any, timetable: Any, run_of: Any, scheduled: bool) -> dict[str, Any]:
    """Airflow's own context of a run with this data interval, for a task instance that no database knows."""
    import pendulum
    from airflow.models import DagRun, TaskInstance
    from airflow.timetables.base import DataInterval
    from airflow.utils.types import DagRunType

    kind = DagRunType.SCHEDULED if scheduled else DagRunType.MANUAL
    start, end = (pendulum.instance(instant) for instant in run_of[:2])
    interval = DataInterval(start, end)
    run = DagRun(
        dag_id=dag.dag_id,
        run_id=timetable.generate_run_id(run_type=kind, logical_date=start, data_interval=interval),
        run_type=kind,
        execution_date=start,
        data_interval=interval,
        external_trigger=not scheduled,
    )
    ti = TaskInstance(
        next((task for task in dag.tasks if not is_mapped(task)), dag.tasks[0]), run_id=run.run_id
    )
    ti.dag_run = run
    context = ti.get_template_context(session=NoRows())
    names = {name: context[name] for name in context}
    names["dag_run"] = {name: getattr(run, name) for name in KNOWN_PARTS["dag_run"] if hasattr(run, name)}
    return names


def _airflow_3_context(dag: Any, timetable: Any, run_of: Any, scheduled: bool) -> dict[str, Any]:
    """The context, built as `RuntimeTaskInstance.get_template_context` of airflow.sdk.execution_time.task_runner does.

    `next_ds`, `prev_ds`, `execution_date` and similar names no longer exist in it.
    """
    import pendulum
    from airflow.timetables.base import DataInterval
    from airflow.utils.types import DagRunType

    start, end, due = (pendulum.instance(instant) for instant in run_of)
    kind = DagRunType.SCHEDULED if scheduled else DagRunType.MANUAL
    run_id = timetable.generate_run_id(run_type=kind, run_after=due, data_interval=DataInterval(start, end))
    iso_text = start.isoformat()
    return {
        **_of_any_run(dag, run_id),
        "logical_date": start,
        "ds": start.strftime("%Y-%m-%d"),
        "ds_nodash": start.strftime("%Y%m%d"),
        "ts": iso_text,
        "ts_nodash": start.strftime("%Y%m%dT%H%M%S"),
        "ts_nodash_with_tz": iso_text.replace("-", "").replace(":", ""),
        "data_interval_start": start,
        "data_interval_end": end,
        "dag_run": {
            "dag_id": dag.dag_id,
            "run_id": run_id,
            "run_type": kind,
            "logical_date": start,
            "data_interval_start": start,
            "data_interval_end": end,
        },
    }


def _of_any_run(dag: Any, run_id: str) -> dict[str, Any]:
    """What every context of Airflow 3 has, with or without a logical date."""
    from airflow.sdk.execution_time.context import MacrosAccessor

    unknown = set(UNKNOWN_ROOTS) - {
        "conf", "triggering_dataset_events", "prev_execution_date_success", "expanded_ti_count", "exception", "reason",
        "try_number",
    }  # fmt: skip
    return {
        **dict.fromkeys(unknown),
        "dag": dag,
        "macros": MacrosAccessor(),
        "map_index_template": None,
        "run_id": run_id,
    }


def _partition_context(dag: Any, key: str, partition_date: datetime, due: datetime) -> dict[str, Any]:
    """The context of a scheduled run for a partition key: without a logical date and all that follows from one, as in
    `get_template_context`. The id of such a run ends in random characters."""
    import pendulum
    from airflow.utils.types import DagRunType

    kind = DagRunType.SCHEDULED
    run_id = kind.generate_run_id(suffix=f"{pendulum.instance(due).isoformat()}__{key}__{UNDETERMINED}")
    context = _of_any_run(dag, run_id)
    for name in ("prev_data_interval_start_success", "prev_data_interval_end_success"):
        context.pop(name, None)
    of_the_key = {"partition_key": key, "partition_date": pendulum.instance(partition_date)}
    run = {"dag_id": dag.dag_id, "run_id": run_id, "run_type": kind, "logical_date": None, **of_the_key}
    return {
        **context,
        **of_the_key,
        "dag_run": {**run, "data_interval_start": None, "data_interval_end": None},
    }


def _has_no_dates(timetable: Any) -> bool:
    """Whether runs that this timetable does not schedule have no logical date, unless a person gives them one."""
    return kind_of(timetable) in ("asset", "asset-partition")


def default_params(dag: Any, task: Any) -> dict[str, Any]:
    """Names and defaults as Airflow merges them for a scheduled run; a name without a default is left out."""
    defaults = {}
    for holder in (dag, task):
        params = getattr(holder, "params", None) or {}
        for name in params:
            value = params.get_param(name) if hasattr(params, "get_param") else params[name]
            value = getattr(value, "value", value)
            if value is None or no_value(value) is not None:
                defaults[name] = value
    return defaults


@dataclasses.dataclass(frozen=True)
class Field:
    """A templated field, judged once for all windows."""

    name: str
    value: Any
    needs: tuple[Need, ...]
    #: The same for every window: Airflow would render the raw value.
    fixed: bool
    #: It contains something that Airflow resolves from a database.
    unresolvable: bool


class Renderer:
    """Renders one DAG's fields with Airflow's own engine."""

    def __init__(self, dag: Any, contexts: Contexts, values: Values, file: str, folder: Path) -> None:
        self.dag, self.contexts, self.values, self.vault = dag, contexts, values, values.vault
        self.file, self.folder = file, folder
        self.environment = dag.get_template_env()
        # Airflow compiles a text anew for each window, which would take longer than everything else.
        for method in ("from_string", "get_template"):
            setattr(
                self.environment, method, functools.lru_cache(maxsize=None)(getattr(self.environment, method))
            )
        self.native = bool(getattr(dag, "render_template_as_native_obj", False))
        self._readers: dict[tuple[frozenset[str], bool], TemplateReader] = {}

    def render(self, task: Any, windows: list[tuple[datetime, datetime, list[str]]]) -> list[dict[str, Any]]:
        params = default_params(self.dag, task)
        fields, expanded = raw_fields(task)
        reader = self._reader(params, windows)
        judged = [self._judge(task, name, value, reader) for name, value in fields.items()]
        fixed = {field.name: self.values.plain(field.value, field.name) for field in judged if field.fixed}
        steady = [_row(field.name, need) for field in judged for need in field.needs]
        steady += [
            _row(name, Need("expand", "one value for each mapped task instance; see the raw field"))
            for name in expanded
        ]
        rows = []
        for start, end, reasons in windows:
            rendered, failed = self._window(task, judged, params, start, end)
            shown = {**fixed, **rendered}
            key = self.contexts.walked.keys.get((start, end))
            rows.append(
                {
                    "start": iso(start),
                    "end": iso(end),
                    **({} if key is None else {"partition_key": key}),
                    "sampled": reasons,
                    "run_id": self.contexts.run_id(start, end),
                    "fields": {name: shown[name] for name in fields if name in shown},
                    "undetermined": steady + failed,
                }
            )
        return rows

    def _reader(self, params: Mapping[str, Any], windows: list[Any]) -> TemplateReader:
        key = (
            frozenset(params),
            bool(windows),
        )  # without windows the names of Airflow's context are not known
        if key not in self._readers:
            names = {"params", "ti", "task_instance", "task", "task_instance_key_str", "inlets", "outlets"}
            names |= set(self.environment.globals)
            if windows:
                names |= set(self.contexts.of_window(*windows[0][:2]))
            self._readers[key] = TemplateReader(self.environment, names, set(params), self.contexts)
        return self._readers[key]

    def _judge(self, task: Any, name: str, value: Any, reader: TemplateReader) -> Field:
        texts, resolvers, objects = parts_of_value(value, self.vault)
        needs = [need for text in texts for need in reader.needs(text)]
        for text in texts:
            needs += self._parse_time_needs(text)
        for resolver in resolvers:
            tasks = sorted({reference[0].task_id for reference in resolver.iter_references()})
            needs.append(
                Need(f"xcom of {', '.join(tasks)}" if tasks else type(resolver).__name__, AT_RUN_TIME)
            )
        files = tuple(getattr(task, "template_ext", None) or ())
        templated = (
            self.native or objects or any(has_template(text) or text.endswith(files) for text in texts)
        )
        # A function's other arguments are rendered all the same, with a mark where Airflow puts an XCom.
        if resolvers and name in ARGUMENTS and (marked := self.values.with_marks(value)) is not None:
            return Field(name, marked, tuple(dict.fromkeys(needs)), False, False)
        return Field(name, value, tuple(dict.fromkeys(needs)), not (templated or resolvers), bool(resolvers))

    def _parse_time_needs(self, text: str) -> Iterator[Need]:
        if UNDETERMINED in text:
            missing = ", ".join(sorted(self.vault.missing.get(self.file, ()))) or "an unknown value"
            yield Need(missing, "the DAG file asked for it while it was parsed, and it is not known here")
        if names := self.vault.read_in(text, self.file):
            yield Need(", ".join(names), f"read while the DAG file was parsed; {SECRECY}")

    def _window(
        self, task: Any, fields: list[Field], params: dict[str, Any], start: datetime, end: datetime
    ) -> tuple[dict[str, Any], list[dict[str, str]]]:
        moving = [field for field in fields if not field.fixed and not field.unresolvable]
        if not moving:
            return {}, []
        context = self.contexts.of_task(task, params, start, end)
        rendered: dict[str, Any] = {}
        failed: list[dict[str, str]] = []
        whole = self._by_operator(task, fields, context)
        for field in moving:
            self.contexts.touched.names.clear()
            try:
                if whole is not None:
                    value = whole[field.name]
                else:
                    # Airflow renders objects with template fields of their own in place.
                    value = field.value if isinstance(field.value, str) else copy.deepcopy(field.value)
                    value = task.render_template(value, context, self.environment, set())
                rendered[field.name] = self.values.plain(value, field.name)
            except Exception as error:
                known = {need.needs for need in field.needs}
                if not known:
                    failed.append(
                        _row(
                            field.name, Need("a template that renders", self._hiding_folder(describe(error)))
                        )
                    )
            declared = {need.needs for need in field.needs}
            for name in sorted(self.contexts.touched.names):
                if not any(other == name or other.startswith(f"{name}.") for other in declared):
                    failed.append(_row(field.name, Need(name, reason_of(name))))
        return rendered, failed

    def _hiding_folder(self, text: str) -> str:
        return text.replace(str(self.folder), self.folder.name)

    def _by_operator(self, task: Any, fields: list[Field], context: dict[str, Any]) -> dict[str, Any] | None:
        """All fields, rendered by the operator's own method; None if it has none or the method fails."""
        method = getattr(type(task), "render_template_fields", None)
        module = getattr(method, "__module__", "")
        if module.startswith(("airflow.models.", "airflow.sdk.")) or any(
            field.unresolvable for field in fields
        ):
            return None
        try:
            twin = copy.copy(task)
            for field in fields:
                setattr(twin, field.name, copy.deepcopy(field.value))
            twin.render_template_fields(context, self.environment)
            return {field.name: getattr(twin, field.name) for field in fields}
        except Exception:
            return None  # then fields are rendered one by one, so that those without an error are known


def _row(field: str, need: Need) -> dict[str, str]:
    return {"field": field, "needs": need.needs, "reason": need.reason}


def parts_of_value(value: Any, vault: Vault) -> tuple[list[str], list[Any], bool]:
    """The texts in a field that Airflow would render, the references it would resolve, and whether it has objects."""
    texts: list[str] = []
    resolvers: list[Any] = []
    objects = False
    todo, seen = [value], set()
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            texts.append(item)
        elif item is None or isinstance(item, (bool, int, float, datetime, timedelta)) or id(item) in seen:
            continue
        else:
            seen.add(id(item))
            names = {parent.__name__ for parent in type(item).__mro__}
            if "ResolveMixin" in names and "LiteralValue" not in names and "DagParam" not in names:
                resolvers.append(item)
            elif isinstance(item, Mapping):
                inherited = vault.inherited(item)
                todo += [inner for name, inner in item.items() if name not in inherited]
            elif isinstance(item, (list, tuple, set, frozenset)):
                todo += item
            else:
                parts = getattr(item, "template_fields", None) or ()
                objects = objects or not (inspect.isroutine(item) or inspect.isclass(item))
                todo += [getattr(item, part, None) for part in parts if isinstance(part, str)]
    return texts[::-1], resolvers, objects


# --- the document -----------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Parsed:
    """The DAGs that Airflow's DagBag loaded from a folder, and the errors."""

    dags: list[tuple[str, Any]] = dataclasses.field(default_factory=list)
    errors: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    #: (dag_id, task_id) → field → the file that the field named.
    files: dict[tuple[str, str], dict[str, str]] = dataclasses.field(default_factory=dict)
    #: DAGs whose start or end depends on the time at which their file is parsed.
    moving: set[str] = dataclasses.field(default_factory=set)


def parse(folder: Path, vault: Vault) -> Parsed:
    """Load every DAG file once, one by one: even a file that ends the interpreter becomes a row."""
    bag = _empty_bag(folder)
    parsed = Parsed()
    taken: set[str] = set()
    with _noting_template_files(parsed.files):
        for path in sorted(_dag_files(folder)):
            file = relative(path, folder) or Path(path).name
            vault.file = file
            errors = dict(bag.import_errors)
            try:
                bag.process_file(path, only_if_updated=False)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a DAG file may call sys.exit, or raise whatever it likes
                parsed.errors.append({"file": file, "error": describe(error), "line": None})
            for where, text in bag.import_errors.items():
                if errors.get(where) != text:
                    parsed.errors.append(
                        _import_error(relative(where, folder) or file, str(text), path, folder)
                    )
            new = [(file, dag) for name, dag in bag.dags.items() if name not in taken]
            parsed.dags += new
            taken |= set(bag.dags)
            if new and _asks_the_clock(path):
                parsed.moving |= _moving(folder, path, [dag for _, dag in new])
    vault.file = None
    parsed.dags.sort(key=lambda pair: pair[1].dag_id)
    parsed.errors.sort(key=lambda row: (row["file"], row["error"]))
    return parsed


_CLOCK_WORDS = re.compile(r"\b(now|utcnow|today|yesterday|tomorrow|days_ago|time)\b")
#: Python functions that ask the clock, by the modules that DAG files take them from.
_CLOCK_FUNCTIONS = {
    "pendulum": ("now", "today", "yesterday", "tomorrow"),
    "airflow.utils.dates": ("days_ago",),
    "airflow.utils.timezone": ("utcnow",),
    "airflow.sdk.timezone": ("utcnow",),
}
LATER = timedelta(days=11, hours=7)  # neither a whole week nor a whole day


def _asks_the_clock(path: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(_CLOCK_WORDS.search(Path(path).read_text(encoding="utf-8", errors="replace")))
    return False


def _moving(folder: Path, path: str, dags: list[Any]) -> set[str]:
    """The DAGs whose bounds differ when their file is parsed once more with a clock that is ahead.

    A file that does not load under that clock has none. Modules that are already imported keep the real clock.
    """
    bag = _empty_bag(folder)
    try:
        with _clock_ahead(LATER):
            bag.process_file(path, only_if_updated=False)
    except KeyboardInterrupt:
        raise
    except BaseException:  # as in `parse`, which reports the error of the first time
        return set()
    return {
        dag.dag_id
        for dag in dags
        if dag.dag_id in bag.dags and _all_bounds(dag) != _all_bounds(bag.dags[dag.dag_id])
    }


def _all_bounds(dag: Any) -> list[Any]:
    return [bounds(dag), *(task_bounds(task) for task in sorted(dag.tasks, key=lambda task: task.task_id))]


@contextlib.contextmanager
def _clock_ahead(by: timedelta) -> Iterator[None]:
    """For code that is run anew in the meantime, the clock is ahead; time zones and arithmetic are unchanged."""
    import datetime as module

    real = module.datetime

    class Kind(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, real)

        def __subclasscheck__(cls, kind: type) -> bool:
            return issubclass(kind, real)

    class Ahead(real, metaclass=Kind):  # type: ignore[valid-type, misc]  # the base is a variable on purpose
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real.now(tz) + by

        @classmethod
        def utcnow(cls) -> Any:
            return real.now(UTC).replace(tzinfo=None) + by

        @classmethod
        def today(cls) -> Any:
            return real.now() + by

    def later(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: function(*args, **kwargs) + by

    with contextlib.ExitStack() as patched:
        for name, functions in _CLOCK_FUNCTIONS.items():
            with contextlib.suppress(ImportError):
                place = importlib.import_module(name)
                for function in functions:
                    if original := getattr(place, function, None):
                        patched.callback(setattr, place, function, original)
                        setattr(place, function, later(original))
        patched.callback(setattr, module, "datetime", real)
        module.datetime = Ahead  # type: ignore[misc]  # it is put back
        yield


def _empty_bag(folder: Path) -> Any:
    try:
        from airflow.dag_processing.dagbag import DagBag  # Airflow 3
    except ImportError:
        from airflow.models.dagbag import DagBag

        return DagBag(dag_folder=os.devnull, include_examples=False)
    extra = {"bundle_path": folder} if "bundle_path" in inspect.signature(DagBag).parameters else {}
    return DagBag(dag_folder=os.devnull, collect_dags=False, **extra)


def _dag_files(folder: Path) -> list[str]:
    from airflow.utils.file import list_py_file_paths

    extra = {}
    if "include_examples" in inspect.signature(list_py_file_paths).parameters:
        extra["include_examples"] = False
    files: list[str] = list_py_file_paths(str(folder), **extra)
    return files


@contextlib.contextmanager
def _noting_template_files(files: dict[tuple[str, str], dict[str, str]]) -> Iterator[None]:
    """Note the names of template files before Airflow replaces them with the files' text, as it does in a DagBag."""
    from airflow import DAG

    resolve = DAG.resolve_template_files

    def noting(dag: Any) -> Any:
        for task in dag.tasks:
            endings = tuple(getattr(task, "template_ext", None) or ())
            for field in task.template_fields if endings else ():
                value = getattr(task, field, None)
                named = [
                    text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)
                ]
                if named := [text for text in named if text.endswith(endings)]:
                    files.setdefault((dag.dag_id, task.task_id), {})[field] = "\n".join(named)
        return resolve(dag)

    DAG.resolve_template_files = noting
    try:
        yield
    finally:
        DAG.resolve_template_files = resolve


def _import_error(file: str, text: str, path: str, folder: Path) -> dict[str, Any]:
    """The exception of a traceback, and the last line of the DAG file in it."""
    lines = text.strip().splitlines() or [""]
    if lines[0].startswith("Traceback"):
        last = max(index for index, line in enumerate(lines) if line.startswith(("  ", "Traceback")))
        tail = lines[last + 1 :] or lines[-1:]
    else:
        tail = lines
    where = [int(line) for name, line in re.findall(r'File "([^"]+)", line (\d+)', text) if name == path]
    message = " ".join(" ".join(tail).split()).replace(f"{folder}{os.sep}", "")
    return {"file": file, "error": message[:2000], "line": where[-1] if where else None}


def describe_schedule(dag: Any, timetable: Any, zone: Any, walked: Walk) -> dict[str, Any]:
    kind, clock, inner = kind_of(timetable), clock_of(timetable), crons_of(timetable)
    crons = [text for text in (getattr(each, "_expression", None) for each in inner) if text]
    interval = getattr(inner[0], "_interval", None)
    windows = walked.windows
    if windows:
        empty: bool | None = windows[0][0] == windows[0][1]
    elif kind in ("none", "once", "cron", "delta"):
        empty = kind in ("none", "once")
    else:
        empty = None if interval is None or kind in PARTITIONED else interval == timedelta()
    condition = condition_of(dag, timetable)
    return {
        "text": str(timetable.summary),
        "kind": kind,
        "occasion": occasion_of(kind, windows, empty, partitioned=bool(walked.partitions)),
        "cron": " | ".join(crons) or None,
        "timezone": zone_name(zone),
        "delta_seconds": seconds(getattr(clock, "_delta", None)),
        "interval_seconds": None if kind in PARTITIONED else seconds(interval),
        "interval_is_empty": empty,
        "timetable": class_path(type(timetable)),
        "partitions": describe_partitions(timetable),
        "asset_condition": condition,
        "assets": sorted(assets_in(condition), key=lambda each: (each["name"] or "", each["uri"] or "")),
    }


def occasion_of(
    kind: str, windows: list[tuple[datetime, datetime]], empty: bool | None, *, partitioned: bool
) -> str | None:
    """What a run is about: a `window`, a `tick` (an interval without length), a `partition` key or an `event`; None if
    it is not known, or not the same for all runs. Runs that assets trigger beside a clock are not meant."""
    if partitioned or kind in PARTITIONED:
        return "partition"
    if kind in UNSCHEDULED or kind == "once":
        return "event"
    if len({start == end for start, end in windows}) > 1 or empty is None:
        return None
    return "tick" if empty else "window"


def describe_partitions(timetable: Any) -> dict[str, Any] | None:
    """Where the partition keys of a timetable come from; None for one without. `mapper` is a class of Airflow's."""
    kind = kind_of(timetable)
    if kind not in PARTITIONED:
        return None
    mapper = getattr(timetable, "default_partition_mapper", None)
    own = getattr(timetable, "partition_mapper_config", None) or {}
    return {
        "keys": {"cron-partition": "cron", "asset-partition": "assets"}.get(kind, "runtime"),
        "key_format": getattr(timetable, "_key_format", None),
        "run_offset": getattr(timetable, "_run_offset", None),
        "mapper": None if mapper is None else class_path(type(mapper)),
        "own_mappers": sorted({class_path(type(each)) for each in own.values()}),
    }


def condition_of(dag: Any, timetable: Any) -> Any:
    """The datasets or assets that trigger a DAG, in Airflow's own notation: nested `all` and `any`; None for none."""
    # Airflow 2.7 and 2.8 have a plain list beside the timetable.
    for holder, name in (
        (timetable, "asset_condition"),
        (timetable, "dataset_condition"),
        (dag, "dataset_triggers"),
    ):
        found = getattr(holder, name, None)
        if isinstance(found, (list, tuple)) and found:
            return {"all": [each.uri for each in found]}
        if found and hasattr(found, "as_expression"):
            return found.as_expression()
    return None


def assets_in(condition: Any) -> Iterator[dict[str, Any]]:
    """Every dataset, asset, reference and alias of a condition; an alias or a reference has no address."""
    if isinstance(condition, str):
        yield {"name": None, "uri": condition}
    elif isinstance(condition, Mapping):
        for key, value in condition.items():
            if key in ("all", "any"):
                for each in value:
                    yield from assets_in(each)
            elif isinstance(value, Mapping):
                yield {"name": value.get("name"), "uri": value.get("uri")}
            else:
                yield {"name": str(value), "uri": None}


def assets_of(listed: Any) -> list[dict[str, Any]]:
    """A task's inlets or outlets, as far as they are datasets or assets."""
    return [
        {"name": getattr(each, "name", None), "uri": getattr(each, "uri", None)}
        for each in listed or ()
        if hasattr(each, "uri") or type(each).__name__ in ("AssetAlias", "DatasetAlias", "AssetNameRef")
    ]


def bundles() -> list[dict[str, Any]] | None:
    """The DAG bundles of Airflow 3's configuration; None on Airflow 2, and where it cannot be read. `versioned`: runs
    stay on the version that they began with; None if the bundle's class is not here."""
    if airflow_version().startswith("2."):
        return None
    from airflow.configuration import conf

    try:
        configured = conf.getjson("dag_processor", "dag_bundle_config_list") or []
        disabled = conf.getboolean("dag_processor", "disable_bundle_versioning", fallback=False)
    except Exception:  # a person's configuration may be anything
        return None
    rows = []
    for each in configured if isinstance(configured, list) else []:
        if isinstance(each, Mapping):
            module, _, name = str(each.get("classpath")).rpartition(".")
            versioned = None
            with contextlib.suppress(Exception):
                kind = getattr(importlib.import_module(module), name)
                versioned = bool(kind.supports_versioning) and not disabled
            rows.append(
                {"name": str(each.get("name")), "class": str(each.get("classpath")), "versioned": versioned}
            )
    return rows


def data_intervals() -> dict[str, bool]:
    """Whether a bare cron or timedelta means data intervals here; Airflow 2 without the setting knows nothing else."""
    from airflow.configuration import conf

    is_two = airflow_version().startswith("2.")
    return {
        name: bool(conf.getboolean("scheduler", f"create_{name}_data_intervals", fallback=is_two))
        for name in ("cron", "delta")
    }


def describe_dag(file: str, dag: Any, request: Request, values: Values, parsed: Parsed) -> dict[str, Any]:
    timetable = timetable_of(dag)
    with contextlib.suppress(AttributeError, TypeError):
        if hasattr(dag.timetable, "next_dagrun_info"):
            dag.timetable = timetable
    zone = zone_of(dag, timetable)
    span = span_of(dag, request)
    walked = walk(dag, timetable, zone, span)
    sampled, notes = samples(walked.runs, dag.timezone, zone, request)
    scheduled = kind_of(timetable) not in UNSCHEDULED
    if not scheduled:
        sampled, notes = [(span[0], span[0], ["unscheduled"])], []
    contexts = Contexts(dag, timetable, scheduled, walked)
    tasks = sorted(dag.tasks, key=lambda task: task.task_id)
    vault = values.vault
    vault.file = file
    renderer = Renderer(dag, contexts, values, file, request.dags_folder)

    def of_task(task: Any) -> list[tuple[datetime, datetime, list[str]]]:
        """The DAG's samples, or, for a task with bounds of its own, samples of its own windows."""
        own = within(walked.runs, *task_bounds(task))
        return sampled if len(own) == len(walked.runs) else samples(own, dag.timezone, zone, request)[0]

    described = []
    for task in tasks:
        files = parsed.files.get((dag.dag_id, task.task_id), {})
        row = describe_task(task, values, request.dags_folder, files)
        try:
            row["rendered"] = renderer.render(task, of_task(task) if scheduled else sampled)
        except Exception as error:  # one task must not affect the DAG's other tasks
            notes.append(f"task {task.task_id} is not rendered: {describe(error)}")
        if "waits" in row and row["waits"]["by_function"]:
            own = within(walked.windows, *task_bounds(task))
            row["waits"].update(ask_function(task, contexts, own))
            if len(own) > MAX_ASKED:
                count = f"the newest {MAX_ASKED:,} of its {len(own):,} windows"
                notes.append(f"task {task.task_id}: its function was called for {count}")
        described.append(row)
    vault.file = None
    earliest, latest = bounds(dag)
    described_dag = {
        "dag_id": dag.dag_id,
        "file": file,
        "schedule": describe_schedule(dag, timetable, zone, walked),
        "timezone": zone_name(dag.timezone),
        "start": iso(earliest) if earliest else None,
        "end": iso(latest) if latest else None,
        "bounds_move": dag.dag_id in parsed.moving,
        "span": {"start": iso(span[0]), "end": iso(span[1])},
        "catchup": bool(dag.catchup),
        "depends_on_past": any(row["depends_on_past"] for row in described),
        "max_active_runs": dag.max_active_runs,
        "max_active_tasks": dag.max_active_tasks,
        "dagrun_timeout_seconds": seconds(dag.dagrun_timeout),
        "tags": sorted(map(str, dag.tags or ())),
        "owners": sorted({str(task.owner) for task in tasks}),
        "params": params_of(dag, values),
        "user_defined_macros": sorted(map(str, dag.user_defined_macros or ())),
        "user_defined_filters": sorted(map(str, dag.user_defined_filters or ())),
        "render_as_native": renderer.native,
        "callbacks": callbacks(dag),
        "advances": {"ok": walked.stuck is None, "reason": walked.stuck},
        "windows_in_span": len(walked.windows),
        "windows_cut": walked.cut,
        "windows": [{"start": iso(start), "end": iso(end)} for start, end in walked.windows],
        "partitions": [
            {"key": walked.keys[run], "date": iso(run[0]), "run_after": iso(walked.due[run])}
            for run in walked.partitions
        ],
        "disable_bundle_versioning": getattr(dag, "disable_bundle_versioning", None),
        "warnings": notes
        + _dag_warnings(file, dag, timetable, walked, vault, moves=dag.dag_id in parsed.moving),
        "tasks": described,
    }
    return masked_dag(described_dag, vault.values(file))


def _dag_warnings(
    file: str, dag: Any, timetable: Any, walked: Walk, vault: Vault, *, moves: bool
) -> list[str]:
    messages = list(walked.warnings)
    kind, clock_kind = kind_of(timetable), kind_of(clock_of(timetable))
    if walked.cut:
        messages.append(f"only the first {MAX_WINDOWS:,} windows of the span are here")
    if clock_kind.startswith("delta") and not dag.catchup:
        messages.append(
            "a timedelta without catchup: Airflow counts from the time at which its scheduler first looked"
        )
    if kind not in UNSCHEDULED and bounds(dag)[0] is None:
        messages.append("it has no start date, so Airflow never schedules it")
    elif kind not in UNSCHEDULED and not walked.runs and not walked.stuck and not walked.warnings:
        messages.append("no window starts in the span")
    if moves:
        messages.append(
            "its start or end date is computed when the file is parsed: another day it begins elsewhere"
        )
    if kind in ALSO_TRIGGERED:
        messages.append("datasets or assets trigger it too: the windows here are those of its time schedule")
    for name in sorted(vault.defaulted.get(file, ())):
        messages.append(
            f"Variable {name} was read while the file was parsed; it is not known here, its default was used"
        )
    for name in sorted(vault.missing.get(file, ())):
        messages.append(
            f"{name} was asked for while the file was parsed and is not known here: {_remedy(name)}"
        )
    for name in sorted(vault.read.get(file, ())):
        messages.append(f"{name} was read while the file was parsed; its value is masked")
    return messages


def _remedy(name: str) -> str:
    kind, _, key = name.partition(" ")
    return f"set AIRFLOW_{'VAR' if kind == 'Variable' else 'CONN'}_{key.upper()}"


#: Where a DAG's text may contain values that a DAG file has read; names, classes and instants are not masked.
FREE_TEXT = {
    "params", "templated", "fields", "settings", "template_files", "source", "undetermined", "tags", "owners", "owner",
    "warnings", "advances", "own_code", "asset_condition", "assets", "inlets", "outlets", "asks_unknown",
    "placed", "named", "code",
}  # fmt: skip


def masked_dag(dag: dict[str, Any], secrets: list[str]) -> dict[str, Any]:
    text = json.dumps(dag, ensure_ascii=False)
    present = [secret for secret in secrets if secret in text or json.dumps(secret)[1:-1] in text]

    def walk(item: Any) -> Any:
        if isinstance(item, dict):
            return {
                key: mask(inner, present) if key in FREE_TEXT else walk(inner) for key, inner in item.items()
            }
        return [walk(inner) for inner in item] if isinstance(item, list) else item

    masked: dict[str, Any] = walk(dag)
    return masked


#: From this many DAGs on, the work is shared among processes; a fork already has the parsed DAGs.
MANY_DAGS = 40
_described_dag: Callable[[int], tuple[str, str]] | None = None


def _described(parsed: Parsed, request: Request, values: Values) -> Iterable[tuple[str, str]]:
    """For each DAG its JSON, or its file and the reason why the DAG is left out."""
    global _described_dag

    def describe_nth(index: int) -> tuple[str, str]:
        file, dag = parsed.dags[index]
        try:
            return _json(describe_dag(file, dag, request, values, parsed)), ""
        except CannotExport as error:
            return file, mask(f"DAG {dag.dag_id} is left out: {error}", values.vault.values(file))
        except Exception as error:
            return file, mask(f"DAG {dag.dag_id} is left out: {describe(error)}", values.vault.values(file))

    _described_dag = describe_nth
    indexes = range(len(parsed.dags))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if len(indexes) < MANY_DAGS or cores < 2 or "fork" not in multiprocessing.get_all_start_methods():
        return [describe_nth(index) for index in indexes]
    gc.freeze()
    context = multiprocessing.get_context("fork")
    try:
        with concurrent.futures.ProcessPoolExecutor(min(cores, 4), mp_context=context) as pool:
            return list(pool.map(_in_a_fork, indexes, chunksize=4))
    except concurrent.futures.process.BrokenProcessPool as error:
        raise CannotExport("a worker process was ended from outside; is there enough memory?") from error


def _in_a_fork(index: int) -> tuple[str, str]:
    assert _described_dag  # noqa: S101 - set before the fork
    return _described_dag(index)


def document(request: Request, vault: Vault) -> Iterator[str]:
    """The pieces of the JSON text, one line for each DAG."""
    values = Values(vault)
    parsed = parse(request.dags_folder, vault)
    warned = [
        f"{file}: {name} was asked for while the file was parsed and is not known here: {_remedy(name)}"
        for file, names in sorted(vault.missing.items())
        for name in sorted(names)
    ]
    for row in parsed.errors:
        row["error"] = mask(row["error"], vault.values(row["file"]))
        line = f", line {row['line']}" if row["line"] else ""
        report(f"{row['file']}{line}: {row['error']}")
    rows = []
    for text, problem in _described(parsed, request, values):
        if problem:
            parsed.errors.append({"file": text, "error": problem, "line": None})
            report(f"{text}: {problem}")
        else:
            rows.append(text)
    head = {
        "schema": SCHEMA,
        "airflow_version": airflow_version(),
        "exported_at": iso(datetime.now(UTC)),
        "dags_folder": request.dags_folder.name,
        "span": {"start": request.first.isoformat(), "end": request.last.isoformat()},
        "asked": [{"start": start, "end": end} for start, end in request.spans],
        "import_errors": parsed.errors,
        "warnings": warned,
        "data_intervals": data_intervals(),
        "bundles": bundles(),
    }
    yield _json(head)[:-1] + ',"dags":[\n'
    yield ",\n".join(rows)
    yield '\n],"complete":true}\n'


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Half a surrogate pair, from a file name that is not text, has no UTF-8 form: it is written as its escape.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def report(message: str) -> None:
    """Print a message on stderr without control characters: an import error contains other people's text."""
    shown = UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", message)
    print(shown, file=sys.stderr)  # noqa: T201 - stderr is for messages


def write(path: Path, pieces: Iterable[str]) -> None:
    """Write all or nothing. Only this user may read the file, because commands may hold secrets."""
    path = Path(os.path.realpath(str(path)))
    remove_leftovers(path)
    prefix = f".{path.name[:60]}.{os.getpid()}-"
    descriptor, name = tempfile.mkstemp(dir=str(path.parent), prefix=prefix, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o600)  # noqa: PTH101 - the same call on every Python
        os.replace(name, str(path))  # noqa: PTH105 - the same call on every Python
    except BaseException:
        os.unlink(name)  # noqa: PTH108 - the same call on every Python
        raise


def remove_leftovers(path: Path) -> None:
    """Remove the unfinished files of exports that were killed: their process is gone."""
    unfinished = re.compile(re.escape(f".{path.name[:60]}.") + r"(\d+)-\w{8}\.tmp")
    for each in path.parent.iterdir():
        match = unfinished.fullmatch(each.name)
        if match and not is_running(int(match.group(1))):
            with contextlib.suppress(OSError):
                each.unlink()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it runs, as another user
        return True
    return True


def main(argv: list[str] | None = None) -> int:
    request = arguments(argv)
    vault = Vault(os.environ)
    try:
        airflow_version()
        with isolated_airflow(request.dags_folder):
            import airflow  # noqa: F401 - importing it makes it read its settings

            vault.learn()
            quiet()
            warnings.simplefilter("ignore")
            without_database()
            ParseTimeVariables(vault).install()
            pieces = list(document(request, vault))
        write(request.out, pieces)
    except (CannotExport, OSError) as error:
        report(f"inventory: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
