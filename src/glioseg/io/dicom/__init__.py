"""DICOM <-> core types: files and archives, headers, volumes, voxels. pydicom is imported where it is used alone."""
