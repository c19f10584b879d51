"""What all readers share: the listing of files, what names say, small tables."""
