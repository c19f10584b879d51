"""A bundle and a case become a prediction on the native grid."""
