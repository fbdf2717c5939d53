"""What is known not to run dbt. Anything that is not listed here may run it, and is reported as such."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence

from dagster_defs.inventory.document import Task

__all__ = [
    "HARMLESS_METHODS",
    "LOGGING",
    "MAY_RUN",
    "has_effect",
    "is_harmless",
    "module_runs_no_dbt",
    "runs_no_dbt",
    "why_it_may_run_dbt",
]

MAY_RUN = "it may run dbt: "

# Operators that do nothing themselves, wait, send a message, move files, or execute SQL.
_OPERATORS = re.compile(
    r"airflow\.(providers\.standard\.)?operators\.(empty|dummy|dummy_operator|latest_only|branch|datetime|weekday|email|"
    r"trigger_dagrun|smooth)\."
    r"|airflow\.(sensors|providers\.standard\.sensors)\.(?!python|bash)\w+\."
    r"|airflow\.providers\.(?!standard\.|cncf\.)(\w+\.)+sensors\."
    r"|airflow\.(providers\.(\w+\.)+)transfers\."
    r"|airflow\.(providers\.common\.sql\.)?operators\.(sql|generic_transfer)\."
    r"|airflow\.providers\.(snowflake|postgres|mysql|sqlite|trino|presto|oracle|vertica|exasol|jdbc|odbc|teradata|ydb|"
    r"microsoft\.mssql|apache\.hive|apache\.impala|apache\.druid|apache\.drill|apache\.pinot)\.operators\.(?!snowpark)"
    r"|airflow\.providers\.google\.cloud\.operators\.(bigquery|gcs|cloud_sql|spanner|bigtable|pubsub)\."
    r"|airflow\.providers\.amazon\.aws\.operators\.(s3|redshift_data|redshift_sql|athena|sns|sqs|dms)\."
    r"|airflow\.providers\.microsoft\.azure\.operators\.(adls|wasb_delete)\."
    r"|airflow\.providers\.(slack|telegram|discord|opsgenie|pagerduty|smtp|sendgrid|ftp|sftp|imap|redis|mongo|"
    r"elasticsearch)\.(operators|notifications)\."
    r"|airflow_clickhouse_plugin\.(operators|sensors)\."
)
_PYTHON = re.compile(
    r"airflow\.(decorators|operators|sensors|providers\.standard\.\w+|sdk\.bases)\.(\w+\.)*python"
)
_BASES = re.compile(r"airflow\.(models|sdk|utils|template|task|lineage|triggers)\b")
# A program, a shell, a process, or code generated at run time.
_STARTERS = frozenset(
    {
        *(
            "subprocess",
            "pty",
            "runpy",
            "importlib",
            "ctypes",
            "code",
            "codeop",
            "imp",
            "multiprocessing",
            "asyncio",
        ),
        *(
            "http",
            "urllib",
            "xmlrpc",
            "socket",
            "socketserver",
            "telnetlib",
            "ftplib",
            "smtplib",
            "webbrowser",
        ),
    }
)
_NOT_STARTING = frozenset(
    {"urllib.parse", "urllib.error", "http.HTTPStatus", "asyncio.sleep", "smtplib.SMTP"}
)
_BUILTIN_STARTERS = frozenset({"exec", "eval", "compile", "__import__", "breakpoint", "globals", "open_code"})
_OS_STARTERS = re.compile(
    r"(os|posix|nt)(\.(system|popen|exec\w*|spawn\w*|posix_spawn\w*|fork\w*|startfile))?"
)
_HARMLESS = frozenset(
    {
        *(
            "numpy",
            "pandas",
            "polars",
            "pyarrow",
            "duckdb",
            "sqlalchemy",
            "psycopg2",
            "psycopg",
            "pymysql",
            "pyodbc",
        ),
        *(
            "pendulum",
            "dateutil",
            "pytz",
            "yaml",
            "jinja2",
            "markupsafe",
            "pydantic",
            "attr",
            "attrs",
            "tabulate",
        ),
        *(
            "openpyxl",
            "xlrd",
            "lxml",
            "bs4",
            "orjson",
            "simplejson",
            "structlog",
            "typing_extensions",
            "zoneinfo",
        ),
        *(
            "sklearn",
            "scipy",
            "statsmodels",
            "slugify",
            "tenacity",
            "cryptography",
            "slack_sdk",
            "fastavro",
            "avro",
        ),
    }
)
LOGGING = frozenset(
    {"critical", "debug", "error", "exception", "info", "log", "warning"}
)  # methods of a logger
# By name, of objects of which nothing else is known: of texts, lists, mappings, dates, files, logs and ended processes.
HARMLESS_METHODS = LOGGING | frozenset({
    "capitalize", "count", "decode", "encode", "endswith", "find", "format", "format_map", "index",
    "isalnum", "isalpha", "isdigit", "join", "lower", "lstrip", "partition", "removeprefix",
    "removesuffix", "replace", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith",
    "strip", "title", "upper", "zfill",
    "add", "append", "clear", "copy", "difference", "discard", "extend", "get", "insert",
    "intersection", "items", "keys", "pop", "popitem", "remove", "reverse", "setdefault", "sort",
    "union", "update", "values",
    "add_days", "astimezone", "date", "end_of", "in_timezone", "isoformat", "start_of", "strftime",
    "subtract", "timestamp", "to_date_string", "total_seconds",
    "as_posix", "close", "exists", "flush", "is_dir", "is_file", "joinpath", "mkdir", "read",
    "read_text", "readline", "readlines", "resolve", "unlink", "write", "write_text",
    "xcom_pull", "xcom_push",
    "check_returncode", "communicate", "kill", "poll", "terminate", "wait",
})  # fmt: skip
_REQUESTS = re.compile(r"(requests|httpx)\.(get|head|options|exceptions\b.*|Response|HTTPError)")
_AIRFLOW = re.compile(
    r"airflow\.(exceptions|models\.(variable|connection|xcom|param|taskinstance|dagrun|baseoperator)|sdk\.\w*(exceptions|"
    r"definitions|bases)|(providers\.standard\.)?operators\.python\.get_current_context|utils|macros|decorators|providers\.[\w.]+\.hooks\.(?!subprocess|ssh|docker|kubernetes|http|dbt))"
)
_EXECUTES_DBT = re.compile(r"\bexecute\s+(immediate\b|dbt\s+project\b|task\b)", re.IGNORECASE)


def why_it_may_run_dbt(task: Task) -> str:
    """Empty if the task is known not to run dbt; for tasks in which no call of dbt was found."""
    own, library = _own_and_library(task)
    if task.reaches is None and task.source is not None:
        return _of_callable(task)  # also where the class is Airflow's own, as that of `@asset`
    if task.reaches is not None and (why := _unseen(task.reaches)):
        return f"{MAY_RUN}its operator {own} {why}"
    if library == "":
        return "" if task.reaches is not None else f"{MAY_RUN}what operator {own} does is not known here"
    if _PYTHON.match(library) or task.source is not None or task.callable_name:
        return _of_callable(task)
    if not _OPERATORS.match(library):
        return f"{MAY_RUN}what operator {library} does is not known here"
    texts = [value for value in task.templated.values() if isinstance(value, str)]
    if any(_EXECUTES_DBT.search(text) for text in texts):
        return f"{MAY_RUN}its SQL executes what the warehouse keeps"
    return ""


def _own_and_library(task: Task) -> tuple[str, str]:
    """The operator, and the first library class behind it; empty if that is Airflow's base."""
    library = (
        task.classes
        if task.reaches is None
        else [path for path in task.classes[1:] if path.startswith("airflow.")]
    )
    first = next(iter(library), "")
    return task.classes[0], "" if _BASES.match(first) and not _OPERATORS.match(first) else first


def _of_callable(task: Task) -> str:
    name = task.callable_name or "its callable"
    if task.code_reaches is None:
        return f"{MAY_RUN}the inventory does not say what {name} calls; export it again"
    why = _unseen(task.code_reaches)
    return f"{MAY_RUN}{name} {why}" if why else ""


def _unseen(reaches: Iterable[str]) -> str:
    harmful = sorted(name for name in reaches if not is_harmless(name))
    if not harmful:
        return ""
    more = f" and {len(harmful) - 3} more" if len(harmful) > 3 else ""
    return f"gets at {', '.join(name.removeprefix('import ') for name in harmful[:3])}{more}, which is not seen through"


def is_harmless(name: str) -> bool:
    """Whether a name of a library, as the exporter gives it, is known to start no program and no request."""
    if name.startswith("?"):
        return False
    path = name.removeprefix("import ")
    top, _, rest = path.partition(".")
    if path in _NOT_STARTING or path.startswith(tuple(f"{known}." for known in _NOT_STARTING)):
        return True
    if top == "builtins":
        return rest not in _BUILTIN_STARTERS
    if top in ("os", "posix", "nt"):
        return name == "import os" or path.startswith("os.path") or not _OS_STARTERS.fullmatch(path)
    if top in sys.stdlib_module_names:
        return top not in _STARTERS
    if top == "airflow":
        return bool(_AIRFLOW.match(path))
    return top in _HARMLESS or bool(_REQUESTS.fullmatch(path))


# Programs that start no other program, or none that an argument names: shell built-ins, file and text tools, archivers,
# database and storage clients.
_PROGRAMS = frozenset({
    ":", "[", "[[", "alias", "bg", "bind", "break", "caller", "cd", "compgen", "complete", "continue", "declare",
    "dirs", "disown", "echo", "exit", "export", "false", "fc", "fg", "getopts", "hash", "help", "history", "jobs",
    "kill", "let", "local", "logout", "mapfile", "popd", "printf", "pushd", "pwd", "read", "readarray", "readonly",
    "return", "set", "shift", "shopt", "suspend", "test", "times", "trap", "true", "type", "typeset", "ulimit", "umask",
    "unalias", "unset", "wait", "xargs", "",
    "arch", "b2sum", "base32", "base64", "basename", "basenc", "cat", "chgrp", "chmod", "chown", "cksum", "cmp",
    "column", "comm", "cp", "csplit", "cut", "date", "dd", "df", "diff", "dircolors", "dirname", "dos2unix", "du",
    "egrep", "expand", "expr", "factor", "fgrep", "file", "find", "fmt", "fold", "free", "getent", "grep", "groups",
    "head", "hexdump", "hostid", "hostname", "iconv", "id", "install", "join", "less", "link", "ln", "locale",
    "logger", "logname", "ls", "lsof", "md5sum", "mkdir", "mkfifo", "mknod", "mktemp", "more", "mv", "nl", "nproc",
    "numfmt", "od", "paste", "patch", "pathchk", "pgrep", "pidof", "pinky", "pkill", "pr", "printenv", "ps", "ptx",
    "readlink", "realpath", "rev", "rm", "rmdir", "seq", "sha1sum", "sha224sum", "sha256sum", "sha384sum",
    "sha512sum", "shred", "shuf", "sleep", "sort", "stat", "strings", "stty", "sum", "sync", "tac", "tail", "tee",
    "top", "touch", "tput", "tr", "truncate", "tsort", "tty", "uname", "unexpand", "uniq", "unlink", "unix2dos",
    "uptime", "users", "uuidgen", "vdir", "wc", "whereis", "which", "who", "whoami", "xxd", "yes",
    "7z", "bunzip2", "bzip2", "gpg", "gunzip", "gzip", "lz4", "openssl", "rsync", "scp", "sftp", "tar", "unxz", "unzip",
    "xz", "zcat", "zip", "zstd",
    "awk", "gawk", "mawk", "sed", "jq", "yq", "xmllint", "csvcut", "csvgrep", "csvstat", "envsubst",
    "apk", "apt", "apt-get", "dnf", "pip", "pip3", "yum", "git",
    "dig", "host", "ip", "netstat", "nslookup", "ping", "ss", "curl", "wget",
    "gsutil", "s3cmd", "azcopy", "rclone", "bq",
    "clickhouse-client", "duckdb", "mongosh", "mysql", "mysqldump", "pg_dump", "pg_isready", "pg_restore", "psql",
    "redis-cli", "snowsql", "sqlcmd", "sqlite3", "bcp",
})  # fmt: skip
# Multi-purpose programs: the first words that select a purpose and start nothing.
_VERBS = {
    "aws": r"s3|s3api|sts|configure|secretsmanager|kms|iam|ecr|sns|sqs|logs|cloudwatch|athena|redshift-data|dynamodb|"
    r"rds",
    "gcloud": r"storage|auth|config|secrets|logging|pubsub|info|version|projects|kms|sql",
    "az": r"storage|login|logout|account|keyvault|version|acr|monitor",
    "docker|podman": r"pull|push|build|login|logout|ps|images|tag|rm|rmi|stop|kill|cp|inspect|logs|network|volume|info|"
    r"version|search|save|load|prune|system|top|stats|wait",
    "kubectl": r"get|describe|logs|delete|wait|config|version|cp|top|explain|label|annotate|cluster-info",
    "airflow": r"variables|connections|pools|db|version|info|config|dags|users|roles|providers",
    "poetry|pipenv|pdm|hatch|uv|pipx|conda|mamba|micromamba": r"install|uninstall|sync|lock|add|remove|update|upgrade|"
    r"env|config|init|self|pip|venv|create|activate|deactivate|info|list|show|search|export|cache|tool|version|check|"
    r"clean|python|inject|ensurepath",
    r"source|\.": r"(.*/)?(activate|\.?(bashrc|bash_profile|profile|env)|.*\.env|conda\.sh|nvm\.sh)",
}
_TAKE_WORD = frozenset(
    {"--profile", "--region", "--output", "--endpoint-url", "--query", "--project", "--account", "--subscription",
     "-n", "--namespace", "--context", "--kubeconfig", "-H", "--host", "-c"}
)  # fmt: skip
# What such a program's arguments may still start: a request that changes something, a program, a stored project.
_STARTS = {
    "curl": r"(^|\s)(-[a-zA-Z]*[dFTX]|--(data|form|json|request|upload-file))",
    "wget": r"--(post|method|body|use-askpass)",
    "g?awk|mawk": r"system\s*\(|getline|\|",
    "tar": r"--(to-command|checkpoint-action|use-compress-program|rsh-command)|(^|\s)-I",
    "psql|mysql|snowsql|sqlcmd|duckdb|sqlite3|clickhouse-client": rf"\\!|\.(shell|system)\b|{_EXECUTES_DBT.pattern}",
    "rsync|scp|sftp": r"(^|\s)(-[a-zA-Z]*[eSo]\b|--rsh|--rsync-path)",
    "git": r"\bbisect\s+run\b|\bforeach\b|(^|\s)-c\s*\S*(alias|hookspath|sshcommand)",
}
_READS = re.compile(r"(-X\s*|--request[\s=])[\"']?(GET|HEAD|OPTIONS)\b")
_MODULES = frozenset(
    {"pip", "venv", "virtualenv", "ensurepip", "json.tool", "zipfile", "tarfile", "gzip", "base64", "calendar", "site",
     "sysconfig", "platform", "compileall", "py_compile"}
)  # fmt: skip


def runs_no_dbt(name: str, arguments: Sequence[str]) -> bool:
    """Whether a program, given by its name without a folder, is known not to run dbt with these arguments."""
    for names, verbs in _VERBS.items():
        if re.fullmatch(names, name):
            return re.fullmatch(verbs, _first_word(arguments)) is not None
    if name not in _PROGRAMS:
        return False
    text = _READS.sub("", " ".join(arguments))
    return not any(
        re.fullmatch(names, name) and re.search(pattern, text, re.IGNORECASE if "execute" in pattern else 0)
        for names, pattern in _STARTS.items()
    )


# Programs that are known not to run dbt, but whose effects others see: transfers, requests, databases.
_SEEN_OUTSIDE = {
    "aws": r"s3|s3api|sns|sqs|athena|redshift-data|dynamodb|rds|cloudwatch|logs",
    "gcloud": r"storage|pubsub|sql|logging",
    "az": r"storage",
    "gsutil|s3cmd|azcopy|rclone|bq|rsync|scp|sftp|curl|wget|psql|mysql|snowsql|sqlcmd|clickhouse-client|mongosh|"
    r"redis-cli|duckdb|sqlite3|bcp": r".*",
}
# Programs that leave files. Before dbt they lay out its project, which a mirror has; after dbt somebody may wait.
_LEAVE_FILES = frozenset(
    {"7z", "bzip2", "cp", "csplit", "dd", "gzip", "install", "ln", "lz4", "mv", "split", "tar", "touch", "xz", "zip",
     "zstd"}
)  # fmt: skip


def has_effect(words: Sequence[str], *, after_dbt: bool) -> bool:
    """Whether a program, given with its arguments, is one whose effects others see."""
    name = words[0].rpartition("/")[2]
    return (after_dbt and name in _LEAVE_FILES) or any(
        re.fullmatch(names, name) and re.fullmatch(verbs, _first_word(words[1:]), re.DOTALL)
        for names, verbs in _SEEN_OUTSIDE.items()
    )


def module_runs_no_dbt(module: str) -> bool:
    """Whether `python -m module` is known not to run dbt."""
    return module in _MODULES


def _first_word(arguments: Sequence[str]) -> str:
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        rest = rest[2 if rest[0] in _TAKE_WORD else 1 :]
    return rest[0] if rest else ""
