# Asterisk's image: the services' image and the list's Asterisk packages. It renders its own files,
# where the modules and sounds that they name are, and it holds every operator's command.
ARG SERVICES=breachline/services:0.1.0
FROM ${SERVICES}

ARG APT_OPTIONS=""
USER root
RUN apt-get ${APT_OPTIONS} update \
    && DEBIAN_FRONTEND=noninteractive apt-get ${APT_OPTIONS} install --yes --no-install-recommends \
        $(awk '$1 == "asterisk" { print $2 }' /opt/breachline/pbx/runtime/packages.txt) \
    && rm -rf /var/lib/apt/lists/*

USER breachline
STOPSIGNAL SIGTERM
CMD ["/opt/breachline/docker/start-asterisk"]
