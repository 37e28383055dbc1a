//! Elections against a server in memory, on paused time: minutes pass in milliseconds, and every schedule of failures can
//! be had.

mod schedules;
mod server;
mod stories;

use super::record::Wall;
use super::{Leadership, LeaseOptions};
use server::Server;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Wall clocks that are wrong in every way.
const WALLS: [Wall; 4] = [
    jiff::Timestamp::now,
    || jiff::Timestamp::from_second(1_000_000_000).unwrap(),
    || jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24),
    || jiff::Timestamp::from_second(4_000_000_000).unwrap(),
];

/// client-go's times.
fn options(identity: &str) -> LeaseOptions {
    LeaseOptions {
        namespace: "aibrix-system".to_owned(),
        name: "autoscaler".to_owned(),
        identity: identity.to_owned(),
        duration: secs(15),
        renew_deadline: secs(10),
        retry: secs(2),
    }
}

/// A contender with a wire of its own to the server.
fn contender(server: &Server, identity: &str, wall: Wall) -> (Leadership, server::Wire) {
    let wire = server.wire();
    (Leadership::contend_at(wire.client(), options(identity), wall).unwrap(), wire)
}

/// How many lead now.
fn leaders(contenders: &[&Leadership]) -> usize {
    contenders.iter().filter(|contender| contender.leads()).count()
}

/// Lets `span` pass and checks at every 50 ms that no two lead; answers when somebody first led.
async fn watch_over(contenders: &[&Leadership], span: Duration) -> Option<Duration> {
    let start = Instant::now();
    let mut first = None;
    while start.elapsed() < span {
        let leading = leaders(contenders);
        assert!(leading <= 1, "{leading} lead after {:?}", start.elapsed());
        if leading == 1 {
            first = first.or_else(|| Some(start.elapsed()));
        }
        sleep(Duration::from_millis(50)).await;
    }
    first
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
