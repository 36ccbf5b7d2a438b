"""Clinical ultrasound, from DICOM files to published numbers, in JAX."""
