# syntax=docker/dockerfile:1
# The agent of one site, with the nats-server that it starts when it has peers.
#
#   docker build -t cheops .
#   docker run --network host --env-file scripts/cheops.env -v cheops:/var/lib/cheops cheops
#
# scripts/check-image carries these steps out in a root file system where no image registry can be reached.

FROM mcr.microsoft.com/dotnet/sdk:10.0-noble AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends clang zlib1g-dev binutils \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN scripts/publish

# Debian 12's C library is older than the build stage's: what is built there would not run here the other way round.
FROM debian:13-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends nats-server ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log \
 && groupadd --system --gid 10001 cheops \
 && useradd --system --uid 10001 --gid cheops --home-dir /var/lib/cheops --no-create-home --shell /usr/sbin/nologin cheops \
 && install -d -o cheops -g cheops -m 0700 /var/lib/cheops
COPY --from=build /src/out/cheops /usr/local/bin/cheops
USER 10001:10001
WORKDIR /var/lib/cheops
VOLUME /var/lib/cheops
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s --retries=3 CMD ["/usr/local/bin/cheops", "health"]
ENTRYPOINT ["/usr/local/bin/cheops"]
CMD ["agent"]
