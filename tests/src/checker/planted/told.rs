//! Mails.

use super::{super::Breach, Planted, id, mail};

#[test]
fn a_mail_called_sent_that_never_arrived() {
    let mut planted = Planted::new();
    planted.confirmed(1);
    planted.mailed(1, 3, "sent");
    planted.finds_one(|breach| matches!(breach, Breach::Untold(..)));
    planted.arrives(mail(1, 3), 1, "confirmed", "bytes");
    planted.arrives(mail(1, 3), 1, "confirmed", "bytes");
    planted.finds(&[]);
}

#[test]
fn a_mail_repeated_with_other_bytes() {
    let mut planted = Planted::new();
    planted.confirmed(1);
    planted.mailed(1, 3, "sent");
    planted.arrives(mail(1, 3), 1, "confirmed", "bytes");
    planted.arrives(mail(1, 3), 1, "confirmed", "other bytes");
    planted.finds_one(|breach| matches!(breach, Breach::ToldTwice(..)));
}

#[test]
fn a_mail_that_no_ledger_knows_and_one_that_says_something_else() {
    let mut planted = Planted::new();
    planted.confirmed(1);
    planted.mailed(1, 3, "sent");
    planted.arrives(id(77), 1, "confirmed", "bytes");
    planted.arrives(mail(1, 3), 1, "cancelled", "bytes");
    planted.finds(&[
        Breach::StrayNotice(id(1), format!("{} on email is not in the ledger", id(77))),
        Breach::StrayNotice(id(1), format!("{} on email does not tell of confirmed", mail(1, 3))),
    ]);
}

#[test]
fn a_confirmation_by_mail_after_the_cancellation() {
    let mut planted = Planted::new();
    planted.accept(1);
    planted.attempt(1, 2, 1);
    planted.end(1, 3, "confirmed", None, "sent");
    planted.end(1, 4, "cancelled", None, "sent");
    planted.mailed(1, 3, "sent");
    planted.mailed(1, 4, "sent");
    planted.arrives(mail(1, 3), 1, "confirmed", "a");
    planted.arrives(mail(1, 4), 1, "cancelled", "b");
    planted.finds(&[]);
    planted.arrives(mail(1, 3), 1, "confirmed", "a");
    planted.finds(&[Breach::OutOfOrder(id(1), "confirmed came after cancelled on email".into())]);
}
