"""Where an Airflow is, and how it lets this program in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dagster_defs.adapters.files.airflows import airflows
from dagster_defs.adapters.http.login import Login
from dagster_defs.adapters.http.question import NOBODY, without_credentials
from dagster_defs.errors import AirflowWithoutAddress, BadAirflows
from dagster_defs.settings import Settings


@dataclass(frozen=True, slots=True)
class AirflowAddress:
    """Airflow's address and credentials, from AIRFLOW_URL, AIRFLOW_USER and AIRFLOW_PASSWORD; of one of several, from
    variables that end with its name. `way_in`: what else lets this program in.

    `url` never contains the user and password, even if it was given with them: it goes into links, logs and metadata.
    If `user` is empty, the credentials in the given address are used; without any, none are sent.
    """

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    way_in: Login = field(default=NOBODY, compare=False)

    def __post_init__(self) -> None:
        bare, user, password = without_credentials(self.url)
        object.__setattr__(self, "url", bare)
        if not self.user:
            object.__setattr__(self, "user", user)
            object.__setattr__(self, "password", self.password or password)

    @classmethod
    def of(cls, settings: Settings) -> AirflowAddress:
        """Raises AirflowWithoutAddress for one of several whose variable is not set, BadAirflows if there are several
        and these settings are of none of them, and BadLogin."""
        if not settings.airflow and airflows(settings).dags:
            raise BadAirflows("a question does not say which of them it is for", "Please report this")
        if not settings.airflow_url:
            variable = settings.of_this_airflow("AIRFLOW_URL")
            raise AirflowWithoutAddress(variable, "it is not set", lasting=True)
        way_in = Login.of(settings.of_this_airflow("AIRFLOW"), settings.way_into_airflow)
        return cls(settings.airflow_url, settings.airflow_user, settings.airflow_password, way_in)

    @property
    def login(self) -> Login:
        return replace(self.way_in, user=self.user, password=self.password)
