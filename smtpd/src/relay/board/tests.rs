//! Who may begin when, and for whom there is room.

use mailwire::address::Domain;

use super::super::testing::entry;
use super::account::AGAIN_SECONDS;
use super::*;

fn board(toml: &str) -> Board {
    Board::new(&toml::from_str(toml).unwrap())
}

fn to(domain: &str) -> Destination {
    Destination::Domain(None, Domain::parse(domain).unwrap())
}

fn add(board: &mut Board, message: u64, recipient: u32, domain: &str) -> Added {
    board.add(&to(domain), entry(message, recipient, &format!("b@{domain}")), (1000, 5000))
}

/// Messages and how many recipients each, of all jobs that may begin.
fn started(board: &mut Board) -> Vec<(u64, usize)> {
    std::iter::from_fn(|| board.start()).map(|(_, job)| (job.message.0, job.entries.len())).collect()
}

#[test]
fn recipients_of_one_message_go_together_up_to_as_many_as_a_transaction_may_have() {
    let mut board = board("recipients_max = 2");
    for recipient in 0..3 {
        add(&mut board, 1, recipient, "b.example");
    }
    add(&mut board, 1, 3, "c.example");
    assert_eq!(board.room(), RelayConfig::default().entries_max - 4);
    assert_eq!(started(&mut board), [(1, 2), (1, 1)]);
    // One session is enough for one message.
    board.connected(&to("b.example"));
    assert_eq!(started(&mut board), []);
    assert_eq!(board.next(&to("b.example")).map(|job| job.entries.len()), Some(1));
    assert_eq!(board.room(), RelayConfig::default().entries_max);
}

#[test]
fn while_more_recipients_of_a_message_may_come_only_whole_transactions_are_begun() {
    let mut board = board("recipients_max = 2");
    let b = to("b.example");
    board.expects(Some(MessageId(1)));
    for (message, recipient) in [(9, 0), (1, 0), (1, 1), (1, 2)] {
        add(&mut board, message, recipient, "b.example");
    }
    add(&mut board, 1, 3, "c.example");
    assert_eq!(started(&mut board), [(9, 1)]);
    board.connected(&b);
    assert_eq!(board.next(&b).map(|job| job.entries.len()), Some(2));
    assert_eq!(board.next(&b), None);
    // The session waits, and the next page has one more for it.
    let bell = board.waits(&b).unwrap().job;
    board.expects(Some(MessageId(1)));
    add(&mut board, 1, 4, "b.example");
    let mut rings = std::pin::pin!(bell.notified());
    assert!(rings.as_mut().enable());
    board.waits_no_more(&b, Left::ByItself);
    assert_eq!(board.next(&b).map(|job| job.entries.len()), Some(2));
    add(&mut board, 1, 5, "b.example");
    assert_eq!((board.next(&b), started(&mut board)), (None, Vec::new()));
    // No more comes: what is there goes, wherever it goes to.
    board.expects(None);
    assert_eq!(started(&mut board), [(1, 1)]);
    assert_eq!(board.next(&b).map(|job| job.entries.len()), Some(1));
}

#[test]
fn a_transaction_is_filled_up_with_others_of_its_message() {
    let mut board = board("recipients_max = 2");
    for (message, recipient) in [(1, 0), (1, 1), (1, 2), (2, 0)] {
        add(&mut board, message, recipient, "b.example");
    }
    let (b, room) = (to("b.example"), RelayConfig::default().entries_max);
    let (_, job) = board.start().unwrap();
    let first = job.entries.first().unwrap();
    let ids = |more: Vec<QueueEntry>| more.iter().map(|entry| entry.id.recipient).collect::<Vec<_>>();
    assert_eq!(ids(board.more(&b, first, 5)), [2]);
    assert_eq!(ids(board.more(&b, first, 5)), [] as [u32; 0]);
    assert_eq!(board.room(), room - 1);
    assert_eq!(board.next(&b).map(|job| job.message.0), Some(2));
    assert_eq!(board.room(), room);
}

#[test]
fn a_message_with_very_many_recipients_gets_more_sessions_and_so_does_another_message() {
    let mut board = board("recipients_max = 1");
    let b = to("b.example");
    for recipient in 0..=20 {
        add(&mut board, 1, recipient, "b.example");
    }
    assert_eq!(started(&mut board).len(), 1);
    board.connected(&b);
    assert_eq!(started(&mut board).len(), 0, "20 wait");
    add(&mut board, 1, 21, "b.example");
    assert_eq!(started(&mut board).len(), 1, "21 waited");
    board.went_well(&b);
    assert_eq!(started(&mut board).len(), 0);
    add(&mut board, 2, 0, "b.example");
    assert_eq!(started(&mut board).len(), 1);
}

#[test]
fn each_destination_has_its_turn_and_its_own_limit() {
    let mut board = board("");
    for message in 0..5 {
        add(&mut board, message, 0, "slow.example");
    }
    add(&mut board, 9, 0, "b.example");
    assert_eq!(started(&mut board), [(0, 1), (9, 1)]);
    board.connected(&to("slow.example"));
    assert_eq!(started(&mut board), [(1, 1)]);
    board.went_well(&to("slow.example"));
    assert_eq!(started(&mut board), [(2, 1)]);
}

#[test]
fn what_is_connecting_and_what_is_connected_are_bounded_apart() {
    let mut board = board("connecting_max = 2\nsessions_max = 1");
    for domain in ["b.example", "c.example", "d.example"] {
        add(&mut board, 1, 0, domain);
    }
    assert_eq!(started(&mut board).len(), 2);
    board.ended(&to("b.example"));
    board.connected(&to("c.example"));
    assert_eq!(started(&mut board).len(), 0, "as many sessions as may be");
    board.disconnected(&to("c.example"));
    assert_eq!(started(&mut board).len(), 1);
}

#[test]
fn mail_of_higher_priority_goes_first() {
    let mut board = board("destination_sessions_max = 1");
    for (message, priority) in [(1, None), (2, Some(-4)), (3, Some(4)), (4, Some(4))] {
        let mut entry = entry(message, 0, "b@b.example");
        entry.terms.priority = priority;
        board.add(&to("b.example"), entry, (1000, 5000));
    }
    assert_eq!(started(&mut board), [(3, 1)]);
    board.connected(&to("b.example"));
    let rest = std::iter::from_fn(|| board.next(&to("b.example"))).map(|job| job.message.0);
    assert_eq!(rest.collect::<Vec<_>>(), [4, 1, 2]);
}

#[test]
fn where_no_connection_can_be_made_nothing_is_tried_for_a_while_that_grows() {
    let mut board = board("");
    for message in 0..4 {
        add(&mut board, message, 0, "b.example");
    }
    add(&mut board, 9, 0, "c.example");
    started(&mut board);
    let back = board.failed(&to("b.example"), 1000, "refused");
    assert_eq!(back.len(), 3);
    assert!(matches!(add(&mut board, 5, 0, "b.example"), Added::Down(_, down) if down.until == 1150));
    assert_eq!(add(&mut board, 6, 0, "c.example"), Added::Waits);
    let again = |board: &mut Board, now| board.add(&to("b.example"), entry(7, 0, "b@b.example"), (now, now));
    assert_eq!(again(&mut board, 1150), Added::Waits);
    board.failed(&to("b.example"), 2000, "refused");
    assert!(matches!(again(&mut board, 2299), Added::Down(_, down) if down.until == 2300));
}

#[test]
fn a_session_that_is_there_speaks_against_a_connection_that_failed() {
    let mut board = board("");
    for message in 0..4 {
        add(&mut board, message, 0, "b.example");
    }
    started(&mut board);
    board.connected(&to("b.example"));
    assert_eq!(board.failed(&to("b.example"), 1000, "refused"), []);
    assert_eq!(add(&mut board, 5, 0, "b.example"), Added::Waits);
}

#[test]
fn while_a_session_waits_no_connection_is_made() {
    let mut board = board("");
    add(&mut board, 1, 0, "b.example");
    started(&mut board);
    board.connected(&to("b.example"));
    let bell = board.waits(&to("b.example")).unwrap().job;
    add(&mut board, 2, 0, "b.example");
    assert_eq!(started(&mut board), []);
    let mut rings = std::pin::pin!(bell.notified());
    assert!(rings.as_mut().enable());
    assert_eq!(board.next(&to("b.example")).map(|job| job.message.0), Some(2));
    board.waits_no_more(&to("b.example"), Left::ByItself);
    add(&mut board, 3, 0, "b.example");
    assert_eq!(started(&mut board), [(3, 1)]);
}

#[test]
fn a_session_that_waits_leaves_where_others_need_its_room() {
    let mut board = board("sessions_max = 1");
    add(&mut board, 1, 0, "b.example");
    started(&mut board);
    board.connected(&to("b.example"));
    let leave = board.waits(&to("b.example")).unwrap().leave;
    let mut leaves = std::pin::pin!(leave.notified());
    assert!(!leaves.as_mut().enable());
    add(&mut board, 2, 0, "c.example");
    assert_eq!(started(&mut board), []);
    assert!(leaves.as_mut().enable());
    board.waits_no_more(&to("b.example"), Left::ForOthers);
    assert!(board.waits(&to("b.example")).is_none(), "as long as there is no room");
    board.disconnected(&to("b.example"));
    assert_eq!(started(&mut board), [(2, 1)]);
}

#[test]
fn a_session_that_was_told_to_leave_and_left_by_itself_is_not_waited_for() {
    let mut board = board("sessions_max = 2");
    let busy = |board: &mut Board, domains: [&str; 2]| {
        for domain in domains {
            add(board, 1, 0, domain);
        }
        started(board);
        domains.map(|domain| {
            board.connected(&to(domain));
            board.waits(&to(domain)).unwrap().leave
        })
    };
    busy(&mut board, ["b.example", "c.example"]);
    add(&mut board, 2, 0, "d.example");
    assert_eq!(started(&mut board), []);
    for domain in ["b.example", "c.example"] {
        board.waits_no_more(&to(domain), Left::ByItself);
        board.disconnected(&to(domain));
        board.ended(&to(domain));
    }
    assert_eq!(started(&mut board), [(2, 1)]);
    board.ended(&to("d.example"));
    let [leave, _] = busy(&mut board, ["e.example", "f.example"]);
    // What was told before has not been heard by anybody.
    let mut heard = std::pin::pin!(leave.notified());
    assert!(heard.as_mut().enable());
    add(&mut board, 3, 0, "g.example");
    assert_eq!(started(&mut board), []);
    let mut leaves = std::pin::pin!(leave.notified());
    assert!(leaves.as_mut().enable());
}

#[test]
fn a_destination_has_its_share_where_there_is_not_room_for_all() {
    let mut board = board("entries_max = 16\nsessions_max = 1");
    for message in 0..8 {
        assert_eq!(add(&mut board, message, 0, "slow.example"), Added::Waits);
    }
    // Nobody knows whether it is there, and one tries.
    assert!(matches!(add(&mut board, 9, 0, "slow.example"), Added::NoRoom(_, AGAIN_SECONDS)));
    assert_eq!(add(&mut board, 9, 0, "b.example"), Added::Waits);
    started(&mut board);
    board.connected(&to("slow.example"));
    board.next(&to("slow.example"));
    for number in 0..8 {
        assert_eq!(add(&mut board, 1, 0, &format!("d{number}.example")), Added::Waits);
    }
    // As long as its other mail takes, at this pace.
    assert!(matches!(add(&mut board, 9, 0, "slow.example"), Added::NoRoom(_, 60)));
    for _ in 0..5 {
        board.next(&to("slow.example"));
    }
    assert_eq!(add(&mut board, 9, 0, "slow.example"), Added::Waits);
}

#[test]
fn servers_that_do_not_answer_leave_room_for_others() {
    let mut board = board("connecting_max = 1");
    for domain in ["b.example", "c.example", "d.example"] {
        add(&mut board, 1, 0, domain);
    }
    assert_eq!(started(&mut board).len(), 1);
    assert!(board.slows_down());
    assert_eq!(started(&mut board).len(), 1);
    assert!(!board.slows_down(), "as many as may be are slow");
    board.slows_down_no_more();
    board.ended(&to("b.example"));
    assert_eq!(started(&mut board).len(), 0);
    board.ended(&to("c.example"));
    assert_eq!(started(&mut board).len(), 1);
}

#[test]
fn destinations_without_work_are_forgotten() {
    let mut board = board("entries_max = 100000");
    for number in 0..=2 * REMEMBERED_MAX {
        let domain = format!("d{number}.example");
        add(&mut board, 1, 0, &domain);
        board.start();
        board.ended(&to(&domain));
    }
    assert_eq!(board.destinations.len(), REMEMBERED_MAX);
}
