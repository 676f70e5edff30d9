"""Errors of the Hugging Face hub, as one line with a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ltm_pyro.errors import InputError


@contextmanager
def hub_errors_explained(failure: str) -> Iterator[None]:
    """Context manager that turns errors of the hub into InputError with a remedy."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise InputError(
            f"{failure}: access to it is restricted. Ask for it on the hub, then `hf auth login`"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise InputError(f"{failure}: it has no such revision. Name a branch, a tag or a commit of it") from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(
            f"{failure}: the hub has no such repository, or you have no access to it. Check the name, and log in by "
            "`hf auth login` or $HF_TOKEN"
        ) from error
    except errors.HFValidationError as error:
        raise InputError(f"{failure}: that is no name of a repository. Expected NAME or OWNER/NAME") from error
    except errors.HfHubHTTPError as error:
        code = error.response.status_code
        remedy = (
            "log in by `hf auth login` or $HF_TOKEN, with the right to write"
            if code in (401, 403)
            else "try again later"
        )
        raise InputError(f"{failure}: the hub answered {code} ({first_line(error)}): {remedy}") from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        raise InputError(
            f"{failure}: {first_line(error)}. Check the network, $HF_ENDPOINT and $HF_HUB_OFFLINE"
        ) from error
    except InputError:
        raise
    except Exception as error:  # of any library involved: connections, disks, answers that do not parse
        raise InputError(
            f"{failure}: {type(error).__name__}: {first_line(error)}. Check the network and the disk"
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without its full stop."""
    return str(error).strip().split("\n")[0].rstrip(".") or "no reason given"
