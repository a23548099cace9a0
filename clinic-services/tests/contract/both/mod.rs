//! What the contract says of bookings and webhooks, as anybody sees it from outside: one list, held against a clinic and against the one in memory
//! that the client brings along for tests.

mod accepting;
mod deciding;
mod face;
mod hearing;
mod reading;

use self::face::Face;

/// Each check against each of the two.
macro_rules! checks {
    ($($room:ident::$name:ident)+) => {
        mod server {
            $(#[tokio::test]
            async fn $name() {
                super::$room::$name(&super::Face::of_server().await).await;
            })+
        }

        mod fake {
            $(#[tokio::test]
            async fn $name() {
                super::$room::$name(&super::Face::of_fake().await).await;
            })+
        }
    };
}

checks! {
    accepting::a_request_is_accepted_and_found_under_its_location
    accepting::the_same_key_replays_and_another_body_is_refused
    accepting::a_bad_key_is_named
    accepting::what_is_no_json_is_400_and_what_is_no_request_is_422
    accepting::the_media_type_must_be_json
    accepting::a_body_over_64_kib_is_refused
    accepting::a_time_that_cannot_be_is_named_as_it_was_sent
    accepting::a_slot_is_held_until_it_is_given_back
    accepting::a_patient_has_a_limit_of_undecided_bookings
    accepting::keys_open_everything_but_health_and_scope_idempotency
    reading::unknown_routes_and_ids_are_404
    reading::wrong_methods_are_405_with_allow_and_options_answers
    reading::bad_query_parameters_are_named
    reading::pages_follow_their_cursors_to_the_end
    reading::filters_add_up
    reading::a_plain_request_id_is_kept_and_any_other_replaced
    reading::health_is_told
    deciding::a_wait_ends_with_the_decision
    deciding::cancelling_frees_the_slot_and_says_why_not
    deciding::events_are_replayed_resumed_and_end
    deciding::a_last_event_that_is_no_number_is_named
    deciding::a_failed_decision_is_on_the_desk_and_replayed_once
    hearing::a_webhook_is_registered_and_its_secret_shown_once
    hearing::a_url_has_one_webhook_and_must_be_one_to_post_to
    hearing::a_webhook_is_tried_out_switched_on_and_given_a_new_secret
    hearing::what_is_removed_or_never_was_is_404_but_to_who_removes_it_again
}
