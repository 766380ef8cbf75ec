# The services' image: Python, the pinned dependencies, the code, and the speech engines.
# The Asterisk image is made from it: Asterisk starts our emergency script.
ARG BASE=docker.io/library/debian:forky-slim
FROM ${BASE}

# For a mirror that is behind, or a proxy: passed to every apt-get.
ARG APT_OPTIONS=""

# The private runtime's own list: a package that is added there is added here.
COPY pbx/runtime/packages.txt /opt/breachline/pbx/runtime/packages.txt
RUN apt-get ${APT_OPTIONS} update \
    && DEBIAN_FRONTEND=noninteractive apt-get ${APT_OPTIONS} install --yes --no-install-recommends \
        ca-certificates python3 python3-venv \
        $(awk '$1 == "speech" { print $2 }' /opt/breachline/pbx/runtime/packages.txt) \
    && rm -rf /var/lib/apt/lists/*

COPY requirements/runtime.txt /opt/breachline/requirements/runtime.txt
RUN python3 -m venv /opt/breachline/.venv \
    && /opt/breachline/.venv/bin/python -m pip --no-input install --no-cache-dir --quiet \
        --require-hashes -r /opt/breachline/requirements/runtime.txt

COPY . /opt/breachline

# HOME is one volume that all containers share, so all of them are the same user. The commands'
# default home is ./var.
RUN groupadd --system --gid 10001 breachline \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin \
        --home-dir /var/lib/breachline breachline \
    && install -d -m 0700 -o breachline -g breachline \
        /var/lib/breachline /var/lib/breachline/prometheus \
    && ln -s /var/lib/breachline /opt/breachline/var

ENV PATH=/opt/breachline/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/opt/breachline \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/breachline \
    XDG_CACHE_HOME=/var/lib/breachline/cache

WORKDIR /opt/breachline
USER breachline
ENTRYPOINT ["/opt/breachline/docker/start"]
CMD ["python", "-P", "-m", "console", "--help"]
