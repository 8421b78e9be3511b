# docker build --tag latlint .
# docker run --rm --network none --volume "$PWD:/work" latlint check --target pixel-4/gpu --budget 10ms
# Another image with Python 3.11 or newer, pip and apt: --build-arg PYTHON=registry.example.com/python:3.12
ARG PYTHON=python:3.12-slim
FROM $PYTHON AS wheels
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE ./
COPY latlint latlint
COPY rules rules
COPY predictors predictors
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM $PYTHON
# git: for budgets that compare with a commit, `diff --base`, and what .gitignore leaves out
RUN apt-get update && apt-get install --yes --no-install-recommends git git-lfs && rm -rf /var/lib/apt/lists/*
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels latlint
# a mounted checkout belongs to somebody else than the user of this image
RUN git config --system --add safe.directory '*'
USER 65534:65534
WORKDIR /work
ENTRYPOINT ["latlint"]
CMD ["check"]
