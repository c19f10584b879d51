"""Who goes where: parts by patient, dealt out evenly, kept in files."""
