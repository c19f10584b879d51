"""Files that are elsewhere, by URL: brought here whole before they are read, and sent there whole once written."""
