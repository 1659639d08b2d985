"""Tests of Rust: cargo builds them, and each test binary is run by itself."""
