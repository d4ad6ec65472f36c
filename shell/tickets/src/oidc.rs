//! OpenID Connect ID tokens.
