//! The AWS tongue.
