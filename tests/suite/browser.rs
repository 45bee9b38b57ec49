//! What does a person at a real browser see and do? Needs Chromium with its driver; says so where it has none.

mod keyboard;
mod pages;
mod signup;
mod upstream;
