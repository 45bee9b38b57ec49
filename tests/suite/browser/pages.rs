//! Is every page readable, at every width, light and dark?
