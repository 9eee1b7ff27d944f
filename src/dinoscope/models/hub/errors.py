"""What to tell a person when weights cannot be fetched: what is wrong, and the next step."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from dinoscope.errors import DinoscopeError, DownloadError, ModelError
from dinoscope.models.catalogue import Model

__all__ = ["explain"]

_ELSEWHERE = (
    "run 'dinoscope models pack {name} -o weights.tar' where there is a network and 'dinoscope models unpack "
    "weights.tar' here, or name a folder with the weights (--model ./FOLDER), or take the bundled --model mini"
)
_TOKENS = "https://huggingface.co/settings/tokens"
_AGAIN = "run the same command again, which goes on where it stopped, or " + _ELSEWHERE
# Classes by name, from httpx, httpx2, ssl and socket, of an error or its causes. The first matching row counts.
_TROUBLES = (
    (("OfflineModeIsEnabled",), "it is not on this machine, and HF_HUB_OFFLINE is set: unset it, or " + _ELSEWHERE),
    (("ProxyError",), "the proxy refuses to connect to {host}: check HTTPS_PROXY and NO_PROXY, or " + _ELSEWHERE),
    (("gaierror",), "cannot find {host}: check the network, HTTPS_PROXY and HF_ENDPOINT, or " + _ELSEWHERE),
    (
        ("SSLError",),
        "the certificate of {host} is not trusted: set SSL_CERT_FILE to your network's own, or " + _ELSEWHERE,
    ),
    (("UnsupportedProtocol", "InvalidURL"), "HF_ENDPOINT is not an address: expected one like https://huggingface.co"),
    (("LocalProtocolError", "UnicodeEncodeError"), "HF_TOKEN is not a token: expected hf_ and letters; see " + _TOKENS),
    (("TimeoutException",), "{host} stopped answering{came}: " + _AGAIN),
    (("ConnectError",), "no connection to {host}{why}: check the network and HF_ENDPOINT, or " + _ELSEWHERE),
    (("TransportError",), "the connection to {host} was cut{came}: " + _AGAIN),
    (("RequestError",), "{host} does not answer as a hub does: check HF_ENDPOINT and HTTPS_PROXY, or " + _ELSEWHERE),
)
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def explain(error: Exception, model: Model, holds: Callable[[str], bool]) -> DinoscopeError | None:
    """Return what to tell about an error that the hub raised; None if it is not a trouble of network, hub or disk.

    Args:
        error: It.
        model: The model whose weights were asked for.
        holds: Tells whether the model's repository has a file of that name.
    """
    from huggingface_hub import constants

    chain = _chain(error)
    host = urlsplit(constants.ENDPOINT).hostname or constants.ENDPOINT
    names = {kind.__name__ for each in chain for kind in type(each).__mro__}
    reason = next((text for kinds, text in _TROUBLES if names.intersection(kinds)), None)
    if reason is not None:
        why = next((f" ({each.strerror})" for each in chain if isinstance(each, OSError) and each.strerror), "")
        came = "".join(f" after {note}" for each in chain for note in getattr(each, "__notes__", ())[:1])
        text = reason.format(name=model.name, host=host, why=why, came=came)
        return DownloadError(f"could not fetch {model.name}: {text}")
    for each in chain:
        if (response := getattr(each, "response", None)) is not None:
            return _explain_access(response, model) or _explain_answer(response, model, holds)
    if "HFValidationError" in names:
        return ModelError(f"{model.repo!r} is not a name of a repository: expected OWNER/NAME; see 'dinoscope models'")
    return _explain_disk(error, model, constants.HF_HUB_CACHE) if isinstance(error, OSError) else None


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and what led to it, without what earlier tries met."""
    chain = [error]
    while not hasattr(chain[-1], "response"):
        # Beyond the system's own error lies the try before.
        cause = chain[-1].__cause__ or (None if isinstance(chain[-1], OSError) else chain[-1].__context__)
        if cause is None:
            break
        chain.append(cause)
    return chain


def _explain_access(response: Any, model: Model) -> DinoscopeError | None:
    """Explain what has to do with tokens and gates."""
    said = response.headers.get("X-Error-Message", "").lower()
    if response.status_code == 401 and ("invalid credentials" in said or "expired" in said):
        return DownloadError(
            f"could not fetch {model.name}: the hub does not know the token that was sent (401): set HF_TOKEN to a "
            f"valid one ({_TOKENS}), or unset it and run 'hf auth logout'"
        )
    # Behind a redirect stands the storage, which knows no gates.
    gated = response.headers.get("X-Error-Code") == "GatedRepo" or (model.gated and not response.history)
    if response.status_code not in (401, 403) or not gated:
        return None
    ask = f"ask for access at https://huggingface.co/{model.repo}"
    other = f"or use --model {model.open_model or 'dinov2-small'}, which is open"
    if "authorization" in response.request.headers:
        return DownloadError(
            f"{model.name} is gated, and the account of your token is not on its list ({response.status_code}): {ask} "
            f"and wait for the answer (a fine-grained token must allow gated repositories, too), {other}"
        )
    return DownloadError(
        f"{model.name} is gated, and no token was sent ({response.status_code}): {ask}, then set HF_TOKEN to a token "
        f"from {_TOKENS}, {other}"
    )


def _explain_answer(response: Any, model: Model, holds: Callable[[str], bool]) -> DinoscopeError:
    status, code, host = response.status_code, response.headers.get("X-Error-Code"), response.url.host
    if code == "EntryNotFound":
        pickled = ", only pytorch_model.bin" if holds("pytorch_model.bin") else ""
        return ModelError(
            f"{model.repo} on {host} has no {model.file}{pickled}: dinoscope reads {model.file}, which runs no code: "
            "take a repository that has it, as those of 'dinoscope models'"
        )
    if code == "RevisionNotFound":
        return ModelError(
            f"{model.repo} on {host} has no revision {model.revision or 'main'}: see which there are at "
            f"https://huggingface.co/{model.repo}/commits/main, or leave --revision out"
        )
    if status in (401, 404) and not response.history:
        hidden = ", or it is private and HF_TOKEN must be set" if status == 401 else ""
        return ModelError(
            f"no repository {model.repo} on {host} ({status}): the name is wrong{hidden}; see 'dinoscope models'"
        )
    if status == 429:
        todo = "wait some minutes, or set HF_TOKEN, then " + _AGAIN
    elif status >= 500:
        todo = "the fault is there: wait, then " + _AGAIN
    else:
        todo = f"see https://huggingface.co/{model.repo}, or " + _ELSEWHERE
    return DownloadError(f"could not fetch {model.name}: {host} answered {status}: {todo.format(name=model.name)}")


def _explain_disk(error: OSError, model: Model, cache: str) -> DownloadError:
    if error.errno in _FULL:
        size = f" ({model.megabytes:,.1f} MB)" if model.megabytes else ""
        return DownloadError(
            f"the disk is too full for {model.name}{size} in {cache}: make room, or set HF_HOME to a folder on another "
            "disk, then run the same command again, which goes on where it stopped"
        )
    return DownloadError(
        f"could not write {model.name} to {cache} ({error.strerror or type(error).__name__}): set HF_HOME to a folder "
        "that you may write to"
    )
