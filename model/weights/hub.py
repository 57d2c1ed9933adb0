"""Download published weights from the hub, with progress, going on where a connection broke.

Which repository holds them is open_clip's and timm's knowledge. Knows the network; knows no tensor.
"""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.constants import SAFETENSORS_SINGLE_FILE
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from open_clip.constants import HF_SAFE_WEIGHTS_NAME
from open_clip.pretrained import get_pretrained_cfg as clip_pretrained

from model.config import SSVPConfig
from model.weights.files import WeightsError
from model.weights.published import published_dino


@dataclass(frozen=True)
class HubFile:
    """A file of a repository, and the option that takes it from the disk in its place."""

    repository: str
    name: str
    option: str

    @property
    def page(self) -> str:
        """Where a person can see it."""
        return f"https://huggingface.co/{self.repository}"


def clip_file(config: SSVPConfig) -> HubFile:
    """Return where a config's CLIP weights are.

    Raises:
        WeightsError: nobody published any.
    """
    found = clip_pretrained(config.clip_model, config.clip_weights) if config.clip_weights else {}
    if not found.get("hf_hub"):
        raise WeightsError(f"{config.name}: no published weights of {config.clip_model} are known")
    return HubFile(found["hf_hub"].rstrip("/"), HF_SAFE_WEIGHTS_NAME, "--clip-file")


def dino_file(config: SSVPConfig) -> HubFile:
    """Return where a config's DINO weights are.

    Raises:
        WeightsError: nobody published any.
    """
    found = published_dino(config)
    if found is None or not found.hf_hub_id:
        raise WeightsError(f"{config.name}: no published weights of {config.dino_model} are known")
    return HubFile(found.hf_hub_id, SAFETENSORS_SINGLE_FILE, "--dino-file")


def download(file: HubFile) -> Path:
    """Return the file on disk, downloading what of it is not there yet.

    Raises:
        WeightsError: offline, refused or unreachable; the message says how else to get the file.
    """
    by_hand = f"get {file.name} from {file.page} by other means and give it with {file.option}"
    try:
        return Path(hf_hub_download(file.repository, file.name))
    except GatedRepoError:
        raise WeightsError(
            f"{file.page} asks for a licence to be accepted first: do so there with an account, then"
            f" `hf auth login` or set HF_TOKEN; or {by_hand}"
        ) from None
    except (RepositoryNotFoundError, EntryNotFoundError) as error:
        if isinstance(error, LocalEntryNotFoundError):  # how the hub's library says: no network
            raise WeightsError(
                f"{file.page} cannot be reached, or HF_HUB_OFFLINE is set; {by_hand}"
            ) from None
        raise WeightsError(
            f"{file.page} has no {file.name}, or asks for a login; {by_hand}"
        ) from None
    except (HfHubHTTPError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise WeightsError(f"{file.page} cannot be downloaded: {first}; {by_hand}") from None
