# docker build --tag latlint .
# docker run --rm --network none --volume "$PWD:/work" latlint check --target pixel-4/gpu --budget 10ms
FROM python:3.12-slim AS wheels
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY latlint latlint
COPY rules rules
COPY predictors predictors
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.12-slim
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels latlint
USER 65534:65534
WORKDIR /work
ENTRYPOINT ["latlint"]
CMD ["check"]
