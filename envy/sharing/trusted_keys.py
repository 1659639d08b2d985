"""The keys whose signatures a project believes, and the judgement of the objects of a depot."""

from collections.abc import Sequence

from envy.declarations.signature import Signature
from envy.errors import EnvyError, FetchError
from envy.sharing.object_names import signer_in
from envy.transport.minisign import parse_signature_file, shown_number, verify_text


class BadSignature(EnvyError):
    """An object is not signed as its name says."""


class TrustedKeys:
    """Keys by their numbers, in the order in which their objects are asked for."""

    def __init__(self, keys: Sequence[Signature]) -> None:
        self._keys: dict[str, list[Signature]] = {}
        for key in keys:
            self._keys.setdefault(shown_number(key.key[0]), []).append(key)

    @property
    def signers(self) -> Sequence[str]:
        """The numbers of the keys; "" for objects that nobody signed, if there are no keys."""
        return list(self._keys) or [""]

    def judge(self, name: str, uri: str, index: bytes, signature: bytes) -> None:
        """Raise unless the index of an object is signed as the name of the object says.

        Of a key that is not known, only its number is compared.

        Raises:
            BadSignature: it is not.
        """
        signer = signer_in(name)
        if not signer:
            return
        if not signature:
            raise BadSignature(f"{uri} is not signed")
        keys = self._keys.get(signer)
        if keys is None:
            found = parse_signature_file(signature)
            if found is None or shown_number(found.key_number) != signer:
                raise BadSignature(f"{uri} is not signed by the key {signer}")
            return
        try:
            verify_text(index, signature, keys, uri=uri)
        except FetchError as error:
            raise BadSignature(error.message) from error
