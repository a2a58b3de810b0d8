//! What the store promises, checked on real databases: SQLite in a temporary directory, PostgreSQL on a
//! server that the tests start. One binary, a file a subject; every promise is kept by both.

#[path = "contract/accounts.rs"]
mod accounts;
#[path = "contract/assistant.rs"]
mod assistant;
#[path = "contract/conversations.rs"]
mod conversations;
#[path = "contract/deliveries.rs"]
mod deliveries;
#[path = "contract/documents.rs"]
mod documents;
#[path = "contract/durability.rs"]
mod durability;
#[path = "contract/events.rs"]
mod events;
#[path = "contract/harness.rs"]
mod harness;
#[path = "contract/history.rs"]
mod history;
#[path = "contract/inbox.rs"]
mod inbox;
#[path = "contract/instances.rs"]
mod instances;
#[path = "contract/jobs.rs"]
mod jobs;
#[path = "contract/maintenance.rs"]
mod maintenance;
#[path = "contract/opening.rs"]
mod opening;
#[path = "contract/outgoing.rs"]
mod outgoing;
#[path = "contract/pauses.rs"]
mod pauses;
#[path = "contract/postgres.rs"]
mod postgres;
#[path = "contract/pulse.rs"]
mod pulse;
#[path = "contract/quotas.rs"]
mod quotas;
#[path = "contract/raw.rs"]
mod raw;
#[path = "contract/restart.rs"]
mod restart;
#[path = "contract/rotation.rs"]
mod rotation;
#[path = "contract/sessions.rs"]
mod sessions;
#[path = "contract/torture.rs"]
mod torture;
#[path = "contract/webhooks.rs"]
mod webhooks;

use harness::Kind;

/// Makes a test on each database of every function that is named here. One that is not is unused, and the
/// compiler says so.
macro_rules! suite {
    ($($module:ident: $($name:ident)*;)*) => {
        on!(on_sqlite, Sqlite, $($module: $($name)*;)*);
        on!(on_postgres, Postgres, $($module: $($name)*;)*);
    };
}

/// The same on one of them.
macro_rules! on {
    ($group:ident, $kind:ident, $($module:ident: $($name:ident)*;)*) => {
        mod $group {
            $(mod $module {
                use crate::Kind;
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::$module::$name(Kind::$kind).await;
                })*
            })*
        }
    };
}

suite! {
    accounts:
        there_is_one_admin_and_a_new_key_replaces_the_old
        a_sign_in_ends_by_itself_or_by_sign_out
        a_refresh_token_that_comes_twice_ends_the_sign_in
        a_user_is_made_once_changed_and_shut_out
        an_administrator_is_always_left
        a_foreign_user_is_made_at_first_sight
        a_second_factor_is_sealed_and_each_code_taken_once
        what_was_done_is_found_again_also_when_who_did_it_is_gone
        a_deed_and_its_entry_are_stored_together_or_not_at_all;
    assistant:
        a_patch_changes_what_it_names_and_the_key_is_sealed
        a_key_goes_with_the_address_it_was_given_for
        patches_at_the_same_moment_are_all_kept
        every_wording_of_a_prompt_is_kept_up_to_a_hundred
        cases_are_kept_with_what_came_out
        what_a_month_costs_is_counted_and_begins_anew;
    conversations:
        a_chat_has_one_open_conversation_with_each_message_once
        an_owner_changes_once_and_all_that_it_causes_is_stored_with_it
        the_assistant_speaks_only_while_it_is_its_turn
        two_people_that_are_one_keep_the_conversation_that_waits
        who_may_speak_is_kept_over_every_interleaving;
    deliveries:
        a_chat_is_delivered_in_order_and_holds_up_no_other
        only_wanted_kinds_are_delivered_to_each_endpoint
        who_dies_gives_its_work_back_when_the_lease_ends_or_the_process_starts
        a_list_tells_every_attempt
        switching_an_endpoint_off_ends_what_waits_for_it
        claiming_looks_only_at_heads_that_are_due
        a_paused_endpoint_is_tried_by_one_delivery_and_loses_none
        an_endpoint_that_is_gone_is_switched_off_and_its_owner_told
        changing_an_endpoint_ends_its_pause
        what_was_finished_can_be_asked_for_again
        chats_that_are_left_out_are_not_delivered
        an_endpoint_with_much_to_do_leaves_room_for_others
        what_waits_for_twenty_hours_arrives_in_order_and_costs_few_attempts
        an_endpoint_of_a_user_hears_all_their_instances_and_orders_each
        an_endpoint_of_an_admin_hears_the_instances_of_everybody;
    durability:
        many_writers_commit_together_and_the_failing_ones_fail_alone
        a_store_that_was_dropped_without_being_closed_has_lost_nothing
        a_caller_that_goes_away_spoils_nothing
        closing_finishes_what_waits_and_refuses_what_comes_later
        no_secret_is_readable_in_the_files;
    events:
        events_are_numbered_per_instance_and_followed_over_all
        events_of_a_deleted_instance_are_refused_together
        old_events_are_swept_unless_they_are_still_on_their_way
        a_follower_goes_on_where_it_was
        an_event_of_a_known_id_is_not_told_again;
    inbox:
        a_message_that_comes_twice_is_stored_once
        a_person_is_introduced_once_before_their_first_message
        both_addresses_of_a_person_share_one_chat_and_one_contact
        two_people_become_one_when_a_late_mapping_says_so
        a_group_message_knows_its_writer_but_its_chat_is_the_group
        an_unknown_instance_takes_no_messages
        pages_show_everything_once_newest_first
        chats_page_by_their_last_message
        a_chat_that_was_read_counts_anew
        any_text_that_whatsapp_carries_is_stored;
    instances:
        a_name_is_taken_whatever_its_case
        a_change_touches_what_it_names
        who_was_connected_is_on_the_way_back_after_a_restart
        filters_combine
        deleting_an_instance_removes_everything_of_it_and_nothing_else
        a_deleted_instance_says_goodbye_and_its_name_is_free
        a_deleted_instance_that_nobody_waits_for_is_gone_at_once;
    opening:
        the_first_start_makes_a_private_directory_and_a_key_that_fits_the_next
        a_wrong_key_is_refused_and_nothing_is_changed
        a_key_file_that_others_can_read_or_that_is_damaged_is_refused
        real_numbers_and_a_simulated_network_never_meet
        a_newer_schema_is_refused
        two_servers_never_run_on_the_same_data;
    history:
        words_are_found_without_case_and_accents_in_one_instance_only
        a_search_pages_and_forgets_with_the_message
        what_a_message_says_of_its_file_is_kept_with_it
        history_is_kept_for_ever_unless_its_owner_limits_it;
    jobs:
        jobs_of_a_chain_are_done_in_order_retried_and_buried
        a_worker_that_dies_gives_its_job_back_and_settles_nothing_later
        a_message_and_its_jobs_are_stored_together_and_once
        workers_that_claim_at_once_share_the_work;
    maintenance:
        a_schema_of_an_earlier_version_is_brought_up_to_date
        every_earlier_schema_is_brought_up_to_date;
    outgoing:
        the_same_request_is_answered_with_its_message_and_another_is_refused
        a_message_with_the_same_id_to_the_same_chat_is_refused
        what_whatsapp_has_neither_taken_nor_refused_is_found_again_oldest_first
        a_status_never_goes_back_and_each_step_has_one_event
        each_member_of_a_group_has_a_message_as_far_as_they_told
        what_is_acknowledged_before_it_was_noted_as_sent_is_sent
        an_edit_of_ours_is_sent_like_a_message_and_shown_like_none
        a_receipt_from_the_other_address_is_understood_and_a_namesake_is_spared;
    pauses:
        a_paused_endpoint_whose_last_delivery_was_given_up_is_tried_by_the_next
        a_paused_endpoint_of_all_instances_outlives_the_one_that_would_try_it
        a_message_that_comes_while_a_pause_ends_is_not_forgotten
        however_many_chats_wait_few_are_due_and_all_arrive
        a_receiver_that_asks_for_time_gets_it_from_all_its_chats
        what_is_asked_for_again_has_its_time_before_it
        an_endpoint_that_is_off_gets_nothing_even_when_asked
        an_event_that_cannot_be_read_is_buried_alone
        many_waiting_deliveries_are_ended_and_deleted_in_pieces;
    documents:
        the_oldest_is_read_first_and_again_after_a_restart
        an_instance_answers_from_what_is_mapped_to_it
        deleting_leaves_nothing_and_quotas_count_what_is_there
        passages_want_vectors_of_the_embedder_of_now
        an_embedders_key_stays_where_it_belongs;
    pulse:
        messages_are_counted_by_hour_and_direction
        what_waits_is_counted_until_it_is_taken
        what_an_owner_looks_for_is_found_among_events_of_messages;
    quotas:
        a_crowd_makes_exactly_as_many_instances_as_are_allowed
        what_is_counted_in_a_window_begins_anew_with_the_next
        a_message_too_many_is_not_stored_and_not_counted;
    rotation:
        a_running_store_seals_everything_with_a_new_key;
    sessions:
        a_batch_is_read_back_and_the_last_change_of_a_key_counts
        hundreds_of_prekeys_go_in_one_batch
        only_what_expired_is_swept
        a_session_whose_instance_is_gone_is_fenced
        an_entry_copied_to_another_row_is_refused_by_name;
    torture:
        nothing_acknowledged_is_lost_when_the_process_is_killed
        a_migration_that_is_cut_off_is_finished_by_the_next_start;
    webhooks:
        an_endpoint_is_read_back_as_it_was_written
        an_instance_has_a_bounded_number_of_endpoints
        a_secret_copied_to_another_endpoint_is_refused_by_name;
}

// What counts on a connection of its own: locks, prepared statements, transactions, the search path.
on! {
    behind_a_pooler, Pooler,
    deliveries:
        a_chat_is_delivered_in_order_and_holds_up_no_other
        who_dies_gives_its_work_back_when_the_lease_ends_or_the_process_starts;
    durability:
        many_writers_commit_together_and_the_failing_ones_fail_alone
        a_store_that_was_dropped_without_being_closed_has_lost_nothing;
    events:
        events_are_numbered_per_instance_and_followed_over_all;
    history:
        words_are_found_without_case_and_accents_in_one_instance_only;
    inbox:
        both_addresses_of_a_person_share_one_chat_and_one_contact;
    jobs:
        workers_that_claim_at_once_share_the_work;
    opening:
        a_wrong_key_is_refused_and_nothing_is_changed
        two_servers_never_run_on_the_same_data;
    rotation:
        a_running_store_seals_everything_with_a_new_key;
    sessions:
        hundreds_of_prekeys_go_in_one_batch;
}
