"""glioseg: brain-tumour segmentation in MRI with the U-Net family. For research use only."""

__version__ = "0.1.0"
