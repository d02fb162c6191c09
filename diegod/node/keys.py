"""The encryption keys that the settings name, and what to say of one that they don't."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from diegod.config.schema import Settings
from diegod.node.statuses import NOT_CURABLE, StartError
from diegod.security.at_rest import Keyring, KeysUnusable, load_keyring

#: Name -> path, as `[bbs.encryption.keys]` has them.
KeyFiles = Mapping[str, str]


def keyring_of(settings: Settings) -> Keyring:
    """Raises StartError with a line for each key that can't be used."""
    encryption = settings.bbs.encryption
    try:
        return keyring_from(encryption.keys, encryption.active_key)
    except KeysUnusable as error:
        raise StartError(error.message, NOT_CURABLE) from None


def keyring_from(files: KeyFiles, active: str = "") -> Keyring:
    """Without an active key, to read with. Raises KeysUnusable."""
    return load_keyring(active, {name: Path(path) for name, path in files.items()})


def lacking(needed: Iterable[str], files: KeyFiles) -> str:
    """One line about the keys of a backup that the settings do not name; "" if there is none."""
    missing = [f'"{name}"' for name in needed if name not in files]
    if not missing:
        return ""
    keys = "the key" if len(missing) == 1 else "the keys"
    return (
        f"it is encrypted with {keys} {', '.join(missing)}, which [bbs.encryption.keys] does not "
        "have: add it there, with the file that was kept"
    )
