"""The encryption keys that the settings name, read from their files."""

from pathlib import Path

from diegod.config.schema import Settings
from diegod.node.statuses import NOT_CURABLE, StartError
from diegod.security.at_rest import Keyring, KeysUnusable, load_keyring


def keyring_of(settings: Settings) -> Keyring:
    """Raises StartError with a line for each key that can't be used."""
    encryption = settings.bbs.encryption
    files = {name: Path(path) for name, path in encryption.keys.items()}
    try:
        return load_keyring(encryption.active_key, files)
    except KeysUnusable as error:
        raise StartError(error.message, NOT_CURABLE) from None
