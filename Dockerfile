# The clinic's programs in one small image: clinic, clinic-api, clinic-worker, clinic-notifier.
#
#   docker build -t clinic .
#
# RUST_IMAGE and RUNTIME_IMAGE may be any images with glibc, the second no older than the first. PROFILE=release builds faster.
ARG RUST_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS build
ARG PROFILE=dist
WORKDIR /src
COPY . .
RUN cargo build --locked --profile "$PROFILE" -p clinic-services --bins \
 && mkdir -p /image/bin /image/lib/clinic \
 && for name in clinic clinic-api clinic-worker clinic-notifier; do \
        cp "target/$PROFILE/$name" /image/bin/ && strip --strip-debug "/image/bin/$name" || exit 1; \
    done \
 && rm -rf target "${CARGO_HOME:-$HOME/.cargo}/registry"

FROM ${RUNTIME_IMAGE}
# The authorities that amqps and https are checked by; nothing is installed here, so this stage needs no network.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /image/bin/ /usr/local/bin/
# The store's folder belongs to the user below, and so does a volume that is made from it.
COPY --from=build --chown=10001:10001 /image/lib/ /var/lib/

# Inside a container all addresses are listened on: without CLINIC_API_KEYS_FILE it refuses to start and says so.
ENV CLINIC_LISTEN=0.0.0.0:8080 \
    CLINIC_STORE=sqlite:/var/lib/clinic/clinic.db
USER 10001:10001
WORKDIR /var/lib/clinic
VOLUME /var/lib/clinic
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["clinic", "check-health"]
ENTRYPOINT ["clinic"]

LABEL org.opencontainers.image.title="clinic" \
      org.opencontainers.image.description="Appointment booking that survives failures" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
