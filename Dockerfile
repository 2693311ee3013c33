# EMS Dash in a container: one process, no root, data and configuration on volumes.
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app

COPY requirements/runtime.txt requirements/runtime.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/runtime.txt

COPY engine engine
COPY ems_dash ems_dash
COPY pages pages
COPY assets assets
COPY LICENSE README.md ./

RUN useradd --system --uid 10001 ems && install -d -o ems -g ems /config /data
USER ems
VOLUME ["/config", "/data"]
EXPOSE 5050
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=30s CMD \
    ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5050/healthz', timeout=2)"]
CMD ["python", "-m", "ems_dash", "run", "--host", "0.0.0.0", "--config", "/config", "--data", "/data"]
