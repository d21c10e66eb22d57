"""Frames to figures: pure, and testable without Streamlit."""
