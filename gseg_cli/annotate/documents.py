"""JSON and XML files of an export, parsed."""

from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from gseg_cli.annotate.drawing import Reading, TooMuchError
from gseg_cli.annotate.fields import Node, parse_json
from gseg_cli.annotate.source_files import Files, base_name
from gseg_runtime.errors import GsegError

MAX_VALUES = 10_000_000  # in all documents; parsed, each takes up to 250 bytes, however few it is written in
MAX_TEXT = 2**30  # bytes in all documents; in some of them stand pictures, as text
_VALUE_MARKS = {True: (b"<", b"="), False: (b",", b"[", b"{")}  # in XML, in JSON


@dataclass(frozen=True)
class Document:
    """name: of the file in its source; content: what json gives, or the root element of XML."""

    name: str
    where: str
    content: Any

    @property
    def node(self) -> Node:
        return Node(self.content, self.where)

    @property
    def root(self) -> Element:
        return self.content


def read_documents(files: Files, reading: Reading) -> list[Document]:
    """All JSON and XML files; those that cannot be parsed become failures."""
    documents: list[Document] = []
    num_values = num_bytes = 0
    for name in [*files.named(".json", ".geojson", ".xml"), *_nameless(files)]:
        is_xml = name.lower().endswith(".xml")
        with reading.attempt():
            where, data = files.where(name), files.read(name)
            num_values += sum(map(data.count, _VALUE_MARKS[is_xml]))
            num_bytes += len(data)
            _check_amount(num_values, num_bytes, where)
            documents.append(Document(name, where, parse_xml(data, where) if is_xml else parse_json(data, where)))
    return documents


def _nameless(files: Files) -> list[str]:
    """Label Studio calls the files that it writes to a folder or a cloud by a number alone."""
    return [name for name in files.names if base_name(name).isdecimal() and files.read(name)[:1] == b"{"]


def _check_amount(num_values: int, num_bytes: int, where: str) -> None:
    if num_values > MAX_VALUES or num_bytes > MAX_TEXT:
        message = f"{where}: too much to read: more than {MAX_VALUES} values or {MAX_TEXT // 2**20} MiB"
        raise TooMuchError(message, "export only the labelled images, or simplify the shapes")


def parse_xml(data: bytes, where: str) -> Element:
    """The root. defusedxml refuses entities: a few lines of them can stand for gigabytes, or for other files."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        return fromstring(data)
    except DefusedXmlException as error:
        message = f"{where}: declares XML entities ({type(error).__name__})"
        raise GsegError(message, "no annotation tool writes them; do not trust this file") from error
    except (ParseError, ValueError, LookupError) as error:  # also an unknown encoding
        raise GsegError(f"{where}: not valid XML: {error}", "export it again; it may have been cut off") from error
