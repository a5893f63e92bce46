"""Sending an exported folder to the Hugging Face hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from pathlib import Path


def check_repo_id(repo_id: str) -> None:
    """Refuses what can be no name on the hub, before anything is written.

    Raises:
        UserError: It is none.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo_id)
    except HFValidationError:
        raise UserError(f"--push {repo_id}: not a name on the hub; give NAME or ORGANISATION/NAME.") from None


def push(folder: Path, repo_id: str, *, private: bool = False) -> str:
    """Uploads a folder as a model, with the login of huggingface_hub: `HF_TOKEN`, or what `hf auth login` stored.

    Args:
        folder: What `export` wrote.
        repo_id: The model's name on the hub; made where it is not there yet.
        private: Only you and your organisation may see it.

    Returns:
        The model's address.

    Raises:
        UserError: The hub is not to be reached, or refuses; or the model is there and public, and was to be private.
    """
    from huggingface_hub import HfApi

    again = f"{folder} is complete, and `hf upload {repo_id} {folder}` sends it again"
    api = HfApi()
    try:
        made = api.create_repo(repo_id, private=private, exist_ok=True)
        # An existing model keeps its visibility, whatever was asked for.
        exposed = private and not api.model_info(made.repo_id).private
        if not exposed:
            api.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message="Merge by ama_ray")
    except Exception as error:  # also of what carries the requests, which is another package in each huggingface_hub
        raise UserError(f"--push {repo_id}: the hub did not take it ({one_line(error)}); {again}.") from error
    if exposed:
        raise UserError(f"--push {repo_id}: it is there already, and public; nothing was sent ({again}).")
    return str(made)
