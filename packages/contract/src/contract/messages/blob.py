"""What is too large for a message travels as a blob, named by its SHA-256, read by credit."""

from contract.messages.form import Command, Message


class BlobChunk(Message, frozen=True, kw_only=True, omit_defaults=True, tag="blob_chunk"):
    """A part of a blob, and the whole's size in bytes."""

    data: bytes
    total_bytes: int


class BlobRead(Command[BlobChunk], frozen=True, kw_only=True, omit_defaults=True, tag="blob_read"):
    """An executor reads a blob that the reconciler holds. 404 where it holds none such."""

    digest: str
    """64 hexadecimal digits."""
    offset: int = 0
    max_bytes: int = 256 * 1024

    def subject_id(self) -> str:
        return self.digest
