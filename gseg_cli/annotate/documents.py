"""JSON and XML files of an export, parsed."""

from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from gseg_cli.annotate.drawing import Reading
from gseg_cli.annotate.fields import Node, parse_json
from gseg_cli.annotate.source_files import Files
from gseg_runtime.errors import GsegError


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
    for name in files.named(".json", ".geojson", ".xml"):
        parse = parse_xml if name.lower().endswith(".xml") else parse_json
        with reading.attempt():
            where = files.where(name)
            documents.append(Document(name, where, parse(files.read(name), where)))
    return documents


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
