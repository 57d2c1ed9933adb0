# A model bundle as an image, for k8s/components/bundle-image:
#   docker build --file docker/bundle.Dockerfile --tag ssvp-bundle:1.0.0 bundles/ssvp-large
# It only copies itself; the service's own base image has all it needs and is on the node already.
ARG PYTHON_VERSION=3.12
FROM python:${PYTHON_VERSION}-slim
# Readable for any user, whatever the umask of whoever exported it.
COPY --chmod=0755 . /bundle
USER 65532:65532
HEALTHCHECK NONE
CMD ["ls", "/bundle"]
