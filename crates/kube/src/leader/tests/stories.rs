//! Single stories: what happens when one thing goes wrong.

use super::server::{Fate, PROMPT, Server};
use super::*;
use jiff::Timestamp;
use tokio::time::timeout;

fn holder(server: &Server) -> String {
    server.lease().unwrap().spec.unwrap().holder_identity.unwrap_or_default()
}

fn transitions(server: &Server) -> Option<i32> {
    server.lease().unwrap().spec.unwrap().lease_transitions
}

#[tokio::test(start_paused = true)]
async fn the_first_contender_leads_at_once_and_keeps_leading() {
    let server = Server::default();
    let (a, _wire) = contender(&server, "a", Timestamp::now);
    timeout(secs(1), a.wait_until_leading()).await.unwrap();
    assert!(a.while_leading(sleep(secs(120))).await.is_some(), "lost while renewing");
    assert!(holder(&server).starts_with("a_"), "{}", holder(&server));
    assert_eq!(transitions(&server), Some(0));
    assert!(server.writes() <= 62, "a renewal every 2 s, not {} in 120 s", server.writes());
}

#[tokio::test(start_paused = true)]
async fn a_hanging_renewal_ends_the_term_before_another_leads() {
    for wall in WALLS {
        let server = Server::default();
        let (a, wire) = contender(&server, "a", wall);
        a.wait_until_leading().await;
        let (b, _wire) = contender(&server, "b", Timestamp::now);
        watch_over(&[&a, &b], secs(30)).await;
        assert!(a.leads() && !b.leads());
        wire.set(Fate::Lost);
        let cut = Instant::now();
        a.lost().await;
        let led_on = cut.elapsed();
        assert!(led_on <= secs(10), "{led_on:?}");
        assert!(!a.leads());
        watch_over(&[&a, &b], secs(20)).await;
        assert!(b.leads());
        assert!(cut.elapsed().saturating_sub(led_on) >= secs(4), "the margin");
        assert_eq!(transitions(&server), Some(1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_api_server_leaves_no_leader_and_then_one() {
    let server = Server::default();
    let (a, to_a) = contender(&server, "a", WALLS[2]);
    a.wait_until_leading().await;
    let (b, to_b) = contender(&server, "b", WALLS[3]);
    watch_over(&[&a, &b], secs(5)).await;
    for fate in [Fate::Lost, Fate::Refused(503), Fate::Refused(429), Fate::Unanswered(Duration::ZERO)] {
        to_a.set(fate);
        to_b.set(fate);
        watch_over(&[&a, &b], secs(60)).await;
        if !matches!(fate, Fate::Unanswered(_)) {
            assert_eq!(leaders(&[&a, &b]), 0, "after {fate:?}");
        }
        to_a.set(PROMPT);
        to_b.set(PROMPT);
        watch_over(&[&a, &b], secs(25)).await;
        assert_eq!(leaders(&[&a, &b]), 1, "after {fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_costs_no_term() {
    let server = Server::default();
    let (a, wire) = contender(&server, "a", Timestamp::now);
    a.wait_until_leading().await;
    let story = async {
        for fate in [Fate::Refused(500), Fate::Lost, Fate::Slow(secs(2), secs(2))] {
            wire.set(fate);
            sleep(secs(3)).await;
            wire.set(PROMPT);
            sleep(secs(12)).await;
        }
    };
    assert!(a.while_leading(story).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn release_hands_over_at_the_next_look() {
    let server = Server::default();
    let (a, _wire) = contender(&server, "a", Timestamp::now);
    a.wait_until_leading().await;
    let (b, _wire) = contender(&server, "b", WALLS[1]);
    watch_over(&[&a, &b], secs(10)).await;
    let clone = a.clone();
    a.release().await;
    assert!(!clone.leads());
    assert_eq!(server.lease().unwrap().spec.unwrap().holder_identity, None);
    timeout(Duration::from_millis(2500), b.wait_until_leading()).await.unwrap();
    assert_eq!(transitions(&server), Some(1));
    assert!(timeout(secs(60), clone.wait_until_leading()).await.is_err(), "released for good");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_clone_gives_the_lease_back() {
    let server = Server::default();
    let (a, _wire) = contender(&server, "a", Timestamp::now);
    a.wait_until_leading().await;
    drop(a);
    sleep(secs(1)).await;
    assert_eq!(holder(&server), "");
}

#[tokio::test(start_paused = true)]
async fn releasing_without_an_api_server_ends_in_bounded_time() {
    let server = Server::default();
    let (a, wire) = contender(&server, "a", Timestamp::now);
    a.wait_until_leading().await;
    wire.set(Fate::Lost);
    timeout(secs(11), a.release()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_release_undoes_a_claim_that_was_under_way() {
    let server = Server::default();
    let (a, wire) = contender(&server, "a", Timestamp::now);
    a.wait_until_leading().await;
    wire.set(Fate::Slow(Duration::from_millis(30), Duration::from_millis(500)));
    sleep(Duration::from_millis(2010)).await;
    a.release().await;
    assert_eq!(holder(&server), "");
}

#[tokio::test(start_paused = true)]
async fn whoever_was_overruled_by_hand_stops_at_its_next_renewal() {
    let server = Server::default();
    let (a, _wire) = contender(&server, "a", Timestamp::now);
    a.wait_until_leading().await;
    server.edit(|lease| {
        let mut lease = lease.unwrap();
        lease.spec.as_mut().unwrap().holder_identity = Some("someone".to_owned());
        Some(lease)
    });
    timeout(secs(3), a.lost()).await.unwrap();
    assert!(timeout(secs(12), a.wait_until_leading()).await.is_err(), "it waits a whole duration as anybody does");
    timeout(secs(4), a.wait_until_leading()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn foreign_edits_cost_no_term_and_are_kept() {
    let server = Server::default();
    let (a, _wire) = contender(&server, "a", Timestamp::now);
    a.wait_until_leading().await;
    let story = async {
        for edit in 0..20 {
            server.edit(|lease| {
                let mut lease = lease.unwrap();
                lease.metadata.labels.get_or_insert_default().insert("edit".to_owned(), edit.to_string());
                Some(lease)
            });
            sleep(Duration::from_millis(1500)).await;
        }
    };
    assert!(a.while_leading(story).await.is_some());
    assert_eq!(server.lease().unwrap().metadata.labels.unwrap()["edit"], "19");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_made_again_by_its_holder() {
    let server = Server::default();
    let (a, to_a) = contender(&server, "a", Timestamp::now);
    a.wait_until_leading().await;
    let (b, _wire) = contender(&server, "b", Timestamp::now);
    watch_over(&[&a, &b], secs(5)).await;
    server.edit(|_| None);
    watch_over(&[&a, &b], secs(5)).await;
    assert!(a.leads() && holder(&server).starts_with("a_"));
    to_a.set(Fate::Lost);
    server.edit(|_| None);
    watch_over(&[&a, &b], secs(20)).await;
    assert!(b.leads(), "nobody waits for ever for a lease that is gone");
}

#[tokio::test(start_paused = true)]
async fn two_processes_of_one_name_are_two_contenders() {
    let server = Server::default();
    let (a, _wire) = contender(&server, "same", Timestamp::now);
    a.wait_until_leading().await;
    let (b, _wire) = contender(&server, "same", Timestamp::now);
    watch_over(&[&a, &b], secs(60)).await;
    assert!(a.leads() && !b.leads());
}

#[tokio::test(start_paused = true)]
async fn a_holder_of_a_longer_duration_is_given_it() {
    let server = Server::default();
    let wire = server.wire();
    let long = LeaseOptions { duration: secs(60), renew_deadline: secs(40), ..options("a") };
    let a = Leadership::contend(wire.client(), long).unwrap();
    a.wait_until_leading().await;
    let (b, _wire) = contender(&server, "b", Timestamp::now);
    wire.set(Fate::Lost);
    watch_over(&[&a, &b], secs(55)).await;
    assert!(!b.leads());
    watch_over(&[&a, &b], secs(10)).await;
    assert!(b.leads());
}

#[tokio::test(start_paused = true)]
async fn the_leases_of_client_go_are_understood() {
    let server = Server::default();
    let written = serde_json::json!({
        "metadata": {"name": "autoscaler"},
        "spec": {"holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": 7,
                 "acquireTime": "2026-01-05T00:00:00.000000Z", "renewTime": "2026-01-05T00:00:00.000000Z"}});
    server.edit(|_| Some(serde_json::from_value(written).unwrap()));
    let (a, _wire) = contender(&server, "a", Timestamp::now);
    timeout(secs(1), a.wait_until_leading()).await.unwrap();
    assert_eq!(transitions(&server), Some(8));
}

#[tokio::test(start_paused = true)]
async fn a_controller_without_rivals_leads_until_released() {
    let a = Leadership::unopposed();
    sleep(secs(86_400)).await;
    assert!(a.leads());
    let clone = a.clone();
    a.release().await;
    assert!(!clone.leads());
    clone.lost().await;
}

#[tokio::test]
async fn times_in_the_wrong_order_are_refused() {
    let client = Server::default().wire().client();
    let late = LeaseOptions { renew_deadline: secs(15), ..options("a") };
    assert!(Leadership::contend(client.clone(), late).is_err());
    let rare = LeaseOptions { retry: secs(6), ..options("a") };
    assert!(Leadership::contend(client.clone(), rare).is_err());
    assert!(Leadership::contend(client, options("")).is_err());
}
