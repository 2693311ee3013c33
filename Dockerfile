# EMS Dash in a container: one process, no root, a root file system that may be read-only.
# What is written lies in /data (history, compiled code), /config and, for a moment, /tmp.
#
#   docker build -t ems-dash:0.1.0 .
#   docker run --read-only --tmpfs /tmp -p 127.0.0.1:5050:5050 -v ems-data:/data -v ems-config:/config ems-dash:0.1.0
#
# Name the base image by its digest for builds that never change: --build-arg PYTHON_IMAGE=python@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# Compilers are only here, for what has no wheel on the machine's architecture.
FROM ${PYTHON_IMAGE} AS builder
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential cmake \
    && rm -rf /var/lib/apt/lists/*
COPY requirements/runtime.txt /build/runtime.txt
RUN python3 -m venv --without-pip /opt/venv \
    && python3 -m pip --python /opt/venv/bin/python install --no-cache-dir \
        --disable-pip-version-check --require-hashes -r /build/runtime.txt
WORKDIR /app
COPY pyproject.toml LICENSE README.md ./
COPY engine engine
COPY ems_dash ems_dash
COPY pages pages
COPY assets assets
RUN /opt/venv/bin/python -m compileall -q engine ems_dash pages

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="EMS Dash" \
      org.opencontainers.image.description="Energy management for battery storage at commercial sites" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# LightGBM takes OpenMP from the system.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 ems \
    && useradd --no-log-init --uid 10001 --gid ems --shell /usr/sbin/nologin --home-dir /data --no-create-home ems \
    && install -d -o ems -g ems -m 0750 /config /data
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
# Works with any user id: nothing asks for a name or a home that only this image's user has.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data \
    XDG_CACHE_HOME=/data/cache \
    MPLCONFIGDIR=/tmp/matplotlib \
    TMPDIR=/tmp
WORKDIR /app
USER 10001:10001
VOLUME ["/config", "/data"]
EXPOSE 5050
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=60s --retries=3 CMD \
    ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5050/healthz', timeout=2)"]
ENTRYPOINT ["python", "-m", "ems_dash"]
CMD ["run", "--host", "0.0.0.0", "--port", "5050", "--config", "/config", "--data", "/data"]
