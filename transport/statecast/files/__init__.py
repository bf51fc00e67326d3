"""Files that users attach to their messages: where they are kept, what they are named, and what may be uploaded."""

from __future__ import annotations

from .base import Files, Found, Link, RangeReader
from .folder import FolderFiles
from .media import TYPES, disposition, is_among, media_type
from .names import MAX_NAME, filename_of, fresh_name, is_name, name_in, names_among
from .s3 import S3Files
from .signing import SECRET_BYTES, Signer
from .stored import StoreFiles
from .uploads import Uploads

__all__ = [
    "MAX_NAME",
    "SECRET_BYTES",
    "TYPES",
    "Files",
    "FolderFiles",
    "Found",
    "Link",
    "RangeReader",
    "S3Files",
    "Signer",
    "StoreFiles",
    "Uploads",
    "disposition",
    "filename_of",
    "fresh_name",
    "is_among",
    "is_name",
    "media_type",
    "name_in",
    "names_among",
]
