"""The runtime: what turns prepared images into scores and maps. Knows nothing of HTTP or queues."""

from app.cores import let_waiting_threads_sleep

let_waiting_threads_sleep()  # here, because the package's modules import torch
