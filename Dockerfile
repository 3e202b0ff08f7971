# `gseg serve` with everything but a model. docs/serve.md says how to build and run it.
# ENGINE: the extra with the inference engine; cpu, gpu or openvino.
FROM python:3.12-slim AS wheel
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:3.12-slim
ARG ENGINE=cpu
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir "gseg[${ENGINE},fast,serve] @ file://$(ls /wheels/gseg-*.whl)"
RUN useradd --create-home gseg
USER gseg
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
EXPOSE 8000
HEALTHCHECK CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=5)"
CMD ["gseg", "serve", "--model", "/model.onnx", "--host", "0.0.0.0"]
