# The command `ltm` on a CPU: docker build -t ltm . && docker run --rm -v "$PWD:/work" ltm train --run runs/first
# For a GPU: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130, and docker run --gpus all
FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=flows,pretrained,serve

RUN apt-get update && apt-get install --yes --no-install-recommends git && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN pip install --no-cache-dir --constraint /source/constraints.txt --extra-index-url "$TORCH_INDEX" "/source[$EXTRAS]"

RUN useradd --create-home ltm
USER ltm
WORKDIR /work
ENTRYPOINT ["ltm"]
CMD ["--help"]
