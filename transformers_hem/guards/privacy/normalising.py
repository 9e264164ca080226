"""One way of writing for the many of Unicode: full width, letters of other scripts that look like
Latin ones, invisible characters, combining marks; and where each character stood before."""

import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Final

# Cyrillic and Greek letters that look like the Latin ones below them.
_LOOK_ALIKES: Final = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u051b\u051d"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0406\u0408\u0405"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf"
    "\u0261\u0131",
    "aeopcyxijsdhqwABEKMHOPCTXIJSABEZHIKMNOPTYXogi",
)
# Joins nothing and shows nothing, or shows above a letter.
_LEFT_OUT: Final = frozenset({"Cf", "Mn", "Me"})
_DASHES: Final = frozenset({"Pd"})
_SPACES: Final = frozenset({"Zs"})
_MINUS: Final = 0x2212
_FEW: Final = 12
_ASCII: Final = bytes(range(128))
_ANY: Final = "surrogatepass"


class _Table(dict[int, str]):
    """A character as one other or none, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        written = self[code] = _written(code)
        return written


def _written(code: int) -> str:
    character = chr(code)
    category = unicodedata.category(character)
    if category in _LEFT_OUT:
        return ""
    if category in _DASHES or code == _MINUS:
        return "-"
    if category in _SPACES:
        return " "
    if category == "Nd":
        return str(unicodedata.digit(character))
    if code in _LOOK_ALIKES:
        return chr(_LOOK_ALIKES[code])
    composed = unicodedata.normalize("NFKC", character)
    return composed if len(composed) == 1 and composed.isascii() else character


_TABLE: Final = _Table({code: chr(code) for code in range(128)})


@dataclass(frozen=True)
class Normalised:
    """`longer` is the original, where characters of it were left out."""

    text: str
    longer: str | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of `text` stands in the original."""
        if self.longer is None:
            return start, end
        return self._origins[start], self._origins[end - 1] + 1

    @cached_property
    def _origins(self) -> list[int]:
        return [n for n, character in enumerate(self.longer or "") if _TABLE[ord(character)]]


def normalise(text: str) -> Normalised:
    if text.isascii():
        return Normalised(text)
    written = _translated(text)
    return Normalised(written, None if len(written) == len(text) else text)


def _translated(text: str) -> str:
    """A few characters are replaced faster one by one."""
    encoded = text.encode(errors=_ANY).translate(None, _ASCII)
    others = set(encoded.decode(errors=_ANY))
    if len(others) > _FEW:
        return text.translate(_TABLE)
    for character in others:
        text = text.replace(character, _TABLE[ord(character)])
    return text
