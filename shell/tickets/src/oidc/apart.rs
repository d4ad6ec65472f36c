use std::time::Duration;

use super::SourceError;

/// Waits for `work`, no longer than `limit`, in a thread of its own: the caller may be a task, in
/// which no other runtime may be entered.
pub(super) fn apart<T: Send>(
    limit: Duration,
    work: impl Future<Output = Result<T, SourceError>> + Send,
) -> Result<T, SourceError> {
    let failed = |e: &dyn std::fmt::Display| SourceError::Failed(e.to_string());
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("id-token".to_owned()).spawn_scoped(scope, || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|e| SourceError::Failed(e.to_string()))?;
            runtime.block_on(async {
                tokio::time::timeout(limit, work).await.map_err(|_| SourceError::TimedOut)?
            })
        });
        thread.map_err(|e| failed(&e))?.join().map_err(|_| failed(&"it ended in disorder"))?
    })
}
