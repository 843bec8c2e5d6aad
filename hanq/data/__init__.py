"""Offline data and the environments that it comes from; what is read, written, drawn and checked."""
