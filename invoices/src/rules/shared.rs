//! What XRechnung and Peppol share.

/// Facts about the profile of a document.
pub(crate) struct ProfileFacts;
