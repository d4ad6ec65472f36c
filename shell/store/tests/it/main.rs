//! One suite of behaviours, run on every engine: what holds on SQLite holds on PostgreSQL, and what holds of hot
//! records holds on Redis.
//!
//! On SQLite each behaviour is a test of its own; on PostgreSQL they share one private server, each
//! in its own database, and one test; on Redis too, each under its own prefix.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod audit;
mod catalogue;
mod certificates;
mod copying;
mod directory;
mod embedded;
mod home;
mod one_hot_store;
mod postgres;
mod redis;
mod redis_faults;
mod redis_ways;
mod registration;
mod sealing;
mod sessions;
mod sharing;
mod tickets;

use home::Home;

type Behaviour = fn(Home);

macro_rules! behaviours {
    ($($module:ident::{$($name:ident),* $(,)?})*) => {
        mod on_sqlite {
            use crate::home::Home;
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::$module::$name(Home::directory()).await;
                }
            )*)*
        }

        const BEHAVIOURS: &[(&str, Behaviour)] = &[
            $($((concat!(stringify!($module), "::", stringify!($name)), |home| run($module::$name(home))),)*)*
        ];
    };
}

behaviours! {
    directory::{
        a_user_is_found_by_id_name_and_code,
        a_name_is_given_once_however_it_looks,
        a_code_is_never_given_again,
        a_change_of_standing_groups_or_path_shows_at_once,
        whoever_gets_a_removed_users_name_inherits_nothing,
        users_are_listed_page_by_page,
        a_password_verifier_is_set_replaced_and_taken_away,
        what_does_not_exist_is_not_found,
    }
    tickets::{
        a_ticket_is_spent_once_and_stays_spent,
        of_many_who_spend_a_ticket_one_does,
    }
    registration::{
        an_invitation_opens_one_registration,
        of_many_racing_clients_one_gets_the_invitation,
        of_many_racing_clients_one_gets_the_name,
        a_refused_invitation_says_why_and_leaves_no_trace,
        a_claim_that_nobody_confirms_lapses_after_ten_minutes,
        an_invitation_revoked_meanwhile_cannot_be_confirmed,
        confirming_twice_is_confirming_once,
        a_user_is_nobody_until_its_registration_is_confirmed,
        a_user_registers_a_second_token,
        a_revoked_token_signs_in_no_more,
    }
    catalogue::{
        applications_are_published_changed_and_withdrawn,
        a_name_for_tls_clients_leads_to_one_application,
        entitlements_are_granted_changed_and_withdrawn,
        withdrawing_an_application_withdraws_its_entitlements,
        templates_count_their_revisions,
        whatever_alters_a_decision_counts_the_revision_up,
        invitations_are_listed_with_their_state,
        plain_and_secret_settings_are_not_mistaken_for_each_other,
    }
    certificates::{
        a_certificate_is_entered_once_and_renewed_once,
        a_certificate_for_a_key_that_cannot_sign_waits_for_its_confirmation,
        a_certificate_whose_confirmation_was_lost_is_in_force_when_it_is_used,
        what_is_lost_is_a_key_with_all_its_certificates,
        revocation_lists_have_growing_numbers,
        every_node_learns_that_another_issuer_follows,
        requests_wait_for_the_issuers_key_and_go,
        no_more_requests_wait_than_one_file_holds,
        everything_about_certificates_is_audited,
        a_gateways_certificate_is_revoked_once_and_other_nodes_look_again,
    }
    sessions::{
        a_claimed_session_has_the_next_epoch_and_the_last_state,
        of_many_racing_nodes_one_claims_an_epoch,
        an_owner_of_the_past_publishes_nothing,
        a_claim_does_not_overwrite_what_was_published_meanwhile,
        a_node_learns_what_became_of_its_sessions,
        what_a_node_does_itself_leaves_it_no_notice,
        no_stream_number_is_dealt_twice,
        an_expired_session_is_gone_and_swept,
        a_session_is_opened_once,
        the_sessions_of_a_user_or_a_token_end_together,
        a_replay_key_is_absent_once_for_all_who_race,
        a_replay_key_may_come_again_after_it_expired,
    }
    audit::{
        every_change_writes_one_row_that_says_who_did_what,
        the_chain_holds_over_many_pages,
        what_comes_in_crowds_is_written_as_one_row_each,
        any_edited_column_is_noticed,
        removed_moved_and_added_rows_are_noticed,
        a_cut_tail_is_noticed_even_with_a_fitting_head,
        a_rewritten_chain_is_noticed,
        nothing_changes_under_a_forged_head,
        a_chain_that_got_shorter_under_a_running_node_stops_it,
        hostile_text_is_recorded_and_bounded,
    }
    sealing::{
        a_sealed_value_moved_to_another_row_does_not_open,
        a_store_does_not_open_with_another_node_key,
        no_secret_stands_in_the_tables_or_the_audit,
    }
    sharing::{
        what_was_acknowledged_is_there_after_reopening,
        two_nodes_on_one_store_see_each_others_changes,
        changes_of_two_nodes_make_one_chain,
        a_caller_who_gives_up_halfway_leaves_no_half_change,
        a_store_of_a_newer_program_is_refused_and_left_alone,
    }
}

#[test]
fn every_behaviour_holds_on_postgresql() {
    let server = postgres::Server::start();
    let mut failed = Vec::new();
    for (number, (name, behaviour)) in BEHAVIOURS.iter().enumerate() {
        let home = run(server.database(&format!("behaviour_{number}")));
        // a thread of its own, so that one failure does not hide the others
        if std::thread::spawn(move || behaviour(home)).join().is_err() {
            failed.push(*name);
        }
    }
    run(postgres::a_database_that_may_only_be_read_is_reported(&server));
    assert!(failed.is_empty(), "on PostgreSQL these do not hold: {failed:#?}");
}

/// The modules of behaviours that have to do with hot records.
const HOT: [&str; 3] = ["sessions::", "sealing::", "sharing::"];

#[test]
fn every_behaviour_of_hot_records_holds_on_redis() {
    let server = std::sync::Arc::new(redis::Server::start());
    let mut failed = Vec::new();
    let about_hot = |name: &str| HOT.iter().any(|module| name.starts_with(module));
    for (number, (name, behaviour)) in BEHAVIOURS.iter().enumerate().filter(|(_, (name, _))| about_hot(name))
    {
        let home = Home::redis(&server, &format!("behaviour-{number}"));
        if std::thread::spawn(move || behaviour(home)).join().is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "on Redis these do not hold: {failed:#?}");
}

pub(crate) fn run<T>(behaviour: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(behaviour)
}
