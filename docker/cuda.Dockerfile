# The command line, on a machine with an NVIDIA GPU: its driver, and the NVIDIA Container Toolkit. From the root of the
# repository:
#
#   docker build -f docker/cuda.Dockerfile -t glioseg-cuda .
#   docker run --rm --gpus all --shm-size 2g -u "$(id -u):$(id -g)" -v "$PWD:/data" glioseg-cuda train lgg --data kaggle_3m --out runs/lgg
#
# PyTorch of PyPI brings the libraries of CUDA with it, so that the image needs none of its own.
FROM python:3.11-slim

ARG PIP_NO_CACHE_DIR=1

WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
COPY weights-research weights-research
RUN pip install -c constraints.txt '.[deploy,dicom]' ./weights-research

WORKDIR /data
ENV HOME=/tmp
ENTRYPOINT ["glioseg"]
