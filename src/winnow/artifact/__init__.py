"""A model on disk: one folder, versioned and checksummed, of plain JSON and safetensors."""

from winnow.artifact.folder import SCHEMA, Artifact, read_artifact, write_artifact

__all__ = ["SCHEMA", "Artifact", "read_artifact", "write_artifact"]
