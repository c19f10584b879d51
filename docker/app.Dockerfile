# The application in a browser, on a machine without a GPU. From the root of the repository:
#
#   docker build -f docker/app.Dockerfile -t glioseg-app .
#   docker run --rm -p 127.0.0.1:8931:8931 -v "$PWD/studies:/cases" -v "$PWD/password:/run/secrets/password:ro" glioseg-app
#
# and open http://127.0.0.1:8931. Paths in RUN are below WORKDIR, so that tests/dockerfiles.py can take the same steps
# in a folder.
FROM python:3.11-slim

# The processor's build of PyTorch, which is gigabytes smaller than the one of PyPI.
ARG PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
ARG PIP_NO_CACHE_DIR=1

WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
COPY weights-research weights-research
RUN pip install -c constraints.txt '.[app,brain,dicom]' ./weights-research

# Whoever runs it may write there: everything that is kept, and the secret by which patients are named.
WORKDIR /cases
RUN chmod 1777 .
ENV HOME=/cases
VOLUME /cases
USER 1000:1000

EXPOSE 8931
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8931/page/icon.svg')"]
ENTRYPOINT ["glioseg", "app", "/cases", "--host", "0.0.0.0", "--port", "8931", "--no-browser", "--password-file", "/run/secrets/password"]
