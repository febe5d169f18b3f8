# Candid in a container.
#
#   docker build -t candid .
#   docker run -p 8000:8000 candid
#
# --build-arg VARIANT=cpu (the default) holds the embedded model and runs exports, without torch; torch makes them:
# it fetches any model (-e CANDID_MODEL=…) into /data, where a volume is to be mounted; cuda is for NVIDIA GPUs.
# BASE may be any Debian-like image whose python3 is 3.11 or newer and can make virtual environments.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
ARG VARIANT=cpu
# PyTorch's index of CPU builds (pytorch.org, "Get started", shows it): a much smaller torch image, and less to fetch
# for cpu, whose export is made with torch.
ARG TORCH_INDEX_URL=
# requirements-ray.txt for an image that Ray runs (deploy/kubernetes/ray-service.yaml).
ARG LOCK=requirements.txt
WORKDIR /src
RUN python3 -m venv /opt/candid
# The dependencies first: this layer is made anew only when the lock changes.
COPY ${LOCK} requirements.txt
COPY deploy/install.sh deploy/trim.sh deploy/torch-only.txt ./
RUN sh install.sh /opt/candid "${VARIANT}" "${TORCH_INDEX_URL}"
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY models models
RUN /opt/candid/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation .
# The embedded model, as OpenVINO runs it, where models/loading.py looks for it: no torch at the first start.
RUN cd / && CANDID_DEVICE=cpu CANDID_TEXT_CACHE_BYTES=0 \
    CANDID_ENCODER_DIR=/opt/candid/share/candid/encoders /opt/candid/bin/python -m app.model_loading
RUN sh trim.sh /opt/candid "${VARIANT}"

FROM ${BASE}
LABEL org.opencontainers.image.title="candid" \
      org.opencontainers.image.description="Classify any image with any labels" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin candid \
    && install --directory --owner candid --group candid /data
COPY --from=build /opt/candid /opt/candid
ENV PATH=/opt/candid/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data \
    HF_HOME=/data/huggingface \
    CANDID_HOST=0.0.0.0 \
    CANDID_PORT=8000
# By number: Kubernetes' runAsNonRoot cannot judge a name.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# Ready, not only alive: the model is loaded and its worker answers.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"CANDID_PORT\"]}/readyz', timeout=4)"]
ENTRYPOINT ["candid"]
CMD ["serve"]
