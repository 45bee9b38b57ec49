# A small image: one binary, no shell needed, no root, nothing written outside /var/lib/jeton;
# /var/lib/jeton-keys is a place for a keyring that several containers share.

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc g++ make cmake libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin jeton && cp target/release/jeton /jeton && mkdir -p /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /jeton /usr/local/bin/jeton
# A new volume takes the owner of this directory.
COPY --from=build --chown=65532:65532 --chmod=0700 /data /var/lib/jeton
COPY --from=build --chown=65532:65532 --chmod=0700 /data /var/lib/jeton-keys
USER 65532:65532
ENV JETON_DATA_DIR=/var/lib/jeton
VOLUME /var/lib/jeton
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/jeton"]
CMD ["serve"]
