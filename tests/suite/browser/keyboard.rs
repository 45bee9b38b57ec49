//! Can everything be done without a mouse?
