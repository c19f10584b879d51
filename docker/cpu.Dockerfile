# The command line, on a machine without a GPU. From the root of the repository:
#
#   docker build -f docker/cpu.Dockerfile -t glioseg .
#   docker run --rm -u "$(id -u):$(id -g)" -v "$PWD:/data" glioseg predict model:brats patient-folder --out masks
#
# Paths in RUN are below WORKDIR, so that tests/dockerfiles.py can take the same steps in a folder.
FROM python:3.11-slim

# The processor's build of PyTorch, which is gigabytes smaller than the one of PyPI.
ARG PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
ARG PIP_NO_CACHE_DIR=1

WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
COPY weights-research weights-research
RUN pip install -c constraints.txt '.[deploy,dicom]' ./weights-research

# What is worked on is mounted here; whoever runs it needs no home of his own.
WORKDIR /data
ENV HOME=/tmp
ENTRYPOINT ["glioseg"]
