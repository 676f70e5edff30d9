"""Detection of encodings other than UTF-8, with the command that converts a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ltm_pyro.errors import InputError

BEYOND_ASCII = re.compile(rb"[\x80-\xff]+")
SAMPLE = 20_000  # bytes from which an encoding is guessed
WIDE = ("utf_32_le", "utf_32_be", "utf_16_le", "utf_16_be")
NARROW = ("cp1252", "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "gb18030", "big5", "cp932", "euc_jp", "cp949")
PACKED = (".gz", ".bz2", ".xz", ".zst")
MARKS = {  # the longer ones first: that of UTF-32 begins with that of UTF-16
    b"\xff\xfe\0\0": ("bytes 0 to 3 are the mark of UTF-32", "utf-32"),
    b"\0\0\xfe\xff": ("bytes 0 to 3 are the mark of UTF-32", "utf-32"),
    b"\xff\xfe": ("bytes 0 and 1 are the mark of UTF-16", "utf-16"),
    b"\xfe\xff": ("bytes 0 and 1 are the mark of UTF-16", "utf-16"),
}


class Format(NamedTuple):
    """A format of files that are not text."""

    mark: bytes  # the first bytes of a file
    kind: str
    remedy: str  # a sentence, in which `{path}` and `{new}` are replaced by the file and a new one


FORMATS = (
    Format(b"\x1f\x8b", "a gzip archive", "Unpack it: gunzip -c '{path}' > '{new}'"),
    Format(b"BZh", "a bzip2 archive", "Unpack it: bunzip2 -c '{path}' > '{new}'"),
    Format(b"\xfd7zXZ\0", "an xz archive", "Unpack it: xz -dc '{path}' > '{new}'"),
    Format(b"\x28\xb5\x2f\xfd", "a Zstandard archive", "Unpack it: zstd -dc '{path}' > '{new}'"),
    Format(b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it: 7z x '{path}'"),
    Format(b"PK\x03\x04", "a zip archive", "Unpack it (unzip '{path}') and give the file in it that holds the text"),
    Format(b"PAR1", "Parquet", "Give it that extension: cp '{path}' '{parquet}'"),
    Format(b"ARROW1", "an Arrow file", "Save its table as Parquet"),
    Format(b"%PDF-", "a PDF", "Take the text out of it: pdftotext '{path}' '{txt}'"),
    Format(b"SQLite format 3\0", "an SQLite database", "Save the column with the text as CSV"),
    Format(b"\x89HDF", "an HDF5 file", "Save the text in it as .jsonl"),
    Format(b"\x93NUMPY", "a NumPy array", "Save the text in it as .jsonl"),
    *(
        Format(bytes([0x80, n]), "a pickle", "With the program that made it, save the text in it as .jsonl")
        for n in (2, 3, 4, 5)
    ),
)


def refusal_of_bytes(path: Path, head: bytes, block: bytes, fault: str) -> InputError:
    """Refusal of a file that is not UTF-8, with the remedy that keeps its text.

    Args:
        path: the file.
        head: its first bytes.
        block: the bytes around the fault.
        fault: description of the fault: a NUL byte, or a byte that is not UTF-8.
    """
    if refusal := refusal_of_format(path, head) or _refusal_of_mark(path, head):
        return refusal
    if encoding := _wide(head):
        reads = _excerpt(head.decode(encoding, "ignore"), 0)
        return _convert(path, f"it is {_iconv(encoding)} without a mark and begins {reads}.", _iconv(encoding))
    if b"\0" in block:
        return InputError(
            f"{path} holds {fault}: it is not plain text (a binary or damaged file?). If the rest is text, "
            f"remove them: tr -d '\\000' < '{path}' > '{_beside(path, '.clean')}'"
        )
    if _mostly_utf8(block):
        return InputError(
            f"{path} is not UTF-8: {fault}. Its other characters are UTF-8: the file is damaged, copy it again, or "
            f"leave out what is broken: iconv -c -f utf-8 -t utf-8 '{path}' > '{_beside(path, '.utf8')}'"
        )
    return _refusal_of_narrow(path, block if head.isascii() else head, fault)


def refusal_of_format(path: Path, head: bytes) -> InputError | None:
    """Refusal of a file that begins with the mark of a known format; None for any other file."""
    known = next((candidate for candidate in FORMATS if head.startswith(candidate.mark)), None)
    if known is None:
        return None
    places = {name: path.with_suffix(f".{name}") for name in ("parquet", "txt")} | {"new": _unpacked(path)}
    return InputError(f"{path} is not text: it begins as {known.kind} does. {known.remedy.format(path=path, **places)}")


def _refusal_of_mark(path: Path, head: bytes) -> InputError | None:
    entry = next((entry for mark, entry in MARKS.items() if head.startswith(mark)), None)
    return _convert(path, f"{entry[0]}.", entry[1]) if entry else None


def _refusal_of_narrow(path: Path, sample: bytes, fault: str) -> InputError:
    first = next(at for at, byte in enumerate(sample) if byte > 0x7F)
    near = sample[max(first - 40, 0) : first + 40]
    encoding = _narrow(sample)
    reads = _excerpt(near.decode(encoding, "replace"), len(near[: min(first, 40)]))
    name = "Latin-1" if encoding == "latin1" else encoding
    return _convert(path, f"{fault}. If it is {name}, in which it reads {reads},", _iconv(encoding), "convert")


def _narrow(sample: bytes) -> str:
    """An encoding of one or two bytes per letter; that of Western Europe if most letters beyond ASCII are isolated."""
    runs = BEYOND_ASCII.findall(sample)
    western = "cp1252" if any(0x80 <= byte < 0xA0 for byte in sample) else "latin1"
    return western if sum(map(len, runs)) < 1.5 * len(runs) else _guess(sample, NARROW) or western


def _convert(path: Path, fault: str, encoding: str, convert: str = "Convert") -> InputError:
    return InputError(
        f"{path} is not UTF-8: {fault} {convert} it: iconv -f {encoding} -t utf-8 '{path}' > '{_beside(path, '.utf8')}'"
    )


def _wide(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark; None for ASCII with a few NUL bytes, and for text that is mostly UTF-8."""
    nuls = head.count(0) / max(len(head), 1)
    letters = sum(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in head) / max(len(head) - head.count(0), 1)
    if letters > (0.9 if nuls else 0.7) and nuls < 0.25:
        return None
    return None if not nuls and (len(head) < 64 or _mostly_utf8(head)) else _guess(head, WIDE)


def _guess(sample: bytes, encodings: tuple[str, ...]) -> str | None:
    import charset_normalizer

    best = charset_normalizer.from_bytes(sample[: SAMPLE // 4 * 4], cp_isolation=list(encodings)).best()
    return best.encoding if best else None


def _mostly_utf8(block: bytes) -> bool:
    text = block.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    return sum(character > "\x7f" for character in text) - broken > broken


def _excerpt(text: str, at: int) -> str:
    return repr(text[max(at - 12, 0) : at + 12])


def _iconv(encoding: str) -> str:
    return encoding.replace("_", "-").replace("-le", "le").replace("-be", "be")


def _unpacked(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() in PACKED else _beside(path, ".unpacked")


def _beside(path: Path, mark: str) -> Path:
    return path.with_name(f"{path.stem}{mark}{path.suffix}")
