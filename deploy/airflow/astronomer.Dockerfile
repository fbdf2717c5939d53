# Astronomer: to the project's Dockerfile. The connection dagster_default is made in the deployment's environment.
FROM astrocrpublic.azurecr.io/runtime:VERSION
RUN pip install --no-cache-dir airflow-parity-handover
ENV PARITY_CHANNEL=variable
