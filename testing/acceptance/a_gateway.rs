//! Rows A1 and B1 as a user can see them: what a client knows of a gateway's certificate before it tells it anything,
//! and from where. `docs/certificates.md` has the settings.

#[path = "a_gateway/directory.rs"]
mod directory;
#[path = "a_gateway/handed_out.rs"]
mod handed_out;
#[path = "a_gateway/revoked.rs"]
mod revoked;
#[path = "a_gateway/stage.rs"]
mod stage;
#[path = "a_gateway/succession.rs"]
mod succession;
