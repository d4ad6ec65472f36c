//! Session tickets act once.

use crate::home::{Home, NOW};
use symbolon_store::TicketKey;

pub(crate) async fn a_ticket_is_spent_once_and_stays_spent(home: Home) {
    let store = home.open().await;
    let until = NOW.plus_secs(60);
    assert_eq!(store.spend_ticket(TicketKey([1; 32]), until, NOW).await, Ok(true));
    assert_eq!(store.spend_ticket(TicketKey([1; 32]), until, NOW).await, Ok(false));
    assert_eq!(store.spend_ticket(TicketKey([2; 32]), until, NOW).await, Ok(true));
    // not closed: a process that ends closes nothing either
    drop(store);
    let store = home.open().await;
    assert_eq!(store.spend_ticket(TicketKey([1; 32]), until, NOW).await, Ok(false));
}

pub(crate) async fn of_many_who_spend_a_ticket_one_does(home: Home) {
    let store = home.open().await;
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        tries.spawn(async move { store.spend_ticket(TicketKey([3; 32]), NOW.plus_secs(60), NOW).await });
    }
    let spent = tries.join_all().await.into_iter().filter(|spent| *spent == Ok(true)).count();
    assert_eq!(spent, 1);
}
