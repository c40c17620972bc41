# SPDX-License-Identifier: MIT
# An image for deploy/training.yaml: docker build -f deploy/training.Dockerfile -t yolo-training .
FROM python:3.12-slim
COPY training/requirements.txt /tmp/
RUN pip install --no-cache-dir -r /tmp/requirements.txt && pip uninstall --yes triton
COPY training /yolo/training
ENV PYTHONPATH=/yolo
WORKDIR /yolo
