"""A session of Amazon MWAA: AWS gives a token for its web server, which exchanges it for a cookie.

https://docs.aws.amazon.com/mwaa/latest/userguide/call-mwaa-apis-web.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from dagster_defs.errors import BadLogin, DriverMissing

# Where a token is exchanged, and the cookie that comes back: of Airflow 3, and of Airflow 2.
PLACES = (("/pluginsv2/aws_mwaa/login", "_token"), ("/aws_mwaa/login", "session"))
SECONDS = 20.0


def session_of(environment: str, server: str, where: str) -> Mapping[str, str]:
    """The headers that let somebody into the web server at `server`. `where`: the variable that names the environment.

    AWS's own variables and profiles say who asks. Raises BadLogin, and DriverMissing without boto3.
    """
    token, host = _token(environment, where)
    if host != urlsplit(server).hostname:
        raise BadLogin(
            where,
            f"{environment} has its web server at {host}, not at {server}",
            f"Set the address: https://{host}",
        )
    return _exchanged(token, server, where)


def _token(environment: str, where: str) -> tuple[str, str]:
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise DriverMissing("boto3, which asks AWS for a token,", "mwaa") from error
    try:
        made: Mapping[str, Any] = boto3.client("mwaa").create_web_login_token(Name=environment)
    except (BotoCoreError, ClientError) as error:
        remedy = "Let this role do airflow:CreateWebLoginToken, and set AWS_REGION"
        raise BadLogin(where, f"AWS gives no token for {environment}: {error}", remedy) from error
    return made["WebToken"], made["WebServerHostname"]


def _exchanged(token: str, server: str, where: str) -> Mapping[str, str]:
    """A token is good for one exchange, so the place that does not exist is asked without it."""
    import httpx

    with httpx.Client(timeout=SECONDS, trust_env=False) as http:
        try:
            path, name = next(
                (place for place in PLACES if _is_there(http.head, server + place[0])), PLACES[-1]
            )
            answer = http.post(server + path, data={"token": token})
        except httpx.HTTPError as error:
            raise BadLogin(
                where, f"{server} does not answer: {error}", "Check that it is reached from here"
            ) from error
    cookie = answer.cookies.get(name)
    if not cookie:
        why = f"POST {path} answered {answer.status_code} without a cookie {name}"
        raise BadLogin(where, why, "Check that this role has a role in Airflow, too")
    # Airflow 3's cookie is a token of its API, which takes no cookie.
    return {"Authorization": f"Bearer {cookie}"} if name == "_token" else {"Cookie": f"{name}={cookie}"}


def _is_there(head: Callable[[str], Any], url: str) -> bool:
    return bool(head(url).status_code != 404)
