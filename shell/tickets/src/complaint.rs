use std::sync::{Arc, Mutex, PoisonError};

/// Why a token could not answer, in full: keep a clone where the token is given away, since
/// [`InitiatorToken`](symbolon_crypto::InitiatorToken) has no words for "nobody is signed in".
#[derive(Debug)]
pub struct Complaint<E>(Arc<Mutex<Option<E>>>);

impl<E> Complaint<E> {
    pub(crate) fn set(&self, error: E) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// What was complained of last, once.
    #[must_use]
    pub fn take(&self) -> Option<E> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<E> Clone for Complaint<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> Default for Complaint<E> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }
}
