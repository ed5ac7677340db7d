"""Whole layers in compiled code, forward and backward."""
