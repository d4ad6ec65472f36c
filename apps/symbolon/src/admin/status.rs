//! `admin status`: how the node is.

use super::Desk;
use super::listing::Details;
use crate::exit::Outcome;

pub(super) async fn run(desk: &Desk<'_>) -> Outcome {
    let mut status = desk.node.get("/v1/status").await?;
    if let Some(fields) = status.as_object_mut() {
        fields.insert("dir".to_owned(), desk.node.dir().display().to_string().into());
    }
    desk.global.output().report(&Details(status));
    Ok(())
}
