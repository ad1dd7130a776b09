//! What is released by which ack, and what holds a sender up.

use super::*;

fn cluster(start_us: i64, end_us: i64, begins_group: bool) -> Cluster {
    let pieces = vec![Bytes::from_static(&[0; 100])];
    Cluster { header: Bytes::new(), pieces, start_us, end_us, begins_group, position: 0 }
}

/// A queue over these Clusters, which waits once 250 bytes are not persisted.
fn queue(clusters: Vec<Cluster>) -> Queue {
    let (sender, receiver) = tokio::sync::mpsc::channel(clusters.len());
    for cluster in clusters {
        sender.try_send(cluster).unwrap();
    }
    let mut queue = Queue::new(receiver, WallTime::from_micros(0), false);
    queue.most_unpersisted_bytes = 250;
    queue
}

/// How many Clusters are given before the queue waits or ends.
fn given(queue: &mut Queue) -> usize {
    let mut count = 0;
    while gives_one(queue) {
        count += 1;
    }
    count
}

fn gives_one(queue: &mut Queue) -> bool {
    use futures_util::FutureExt;
    queue.next().now_or_never().flatten().is_some()
}

#[test]
fn an_ack_releases_what_its_fragment_holds_and_lets_more_be_sent() {
    let mut queue = queue((0..6).map(|n| cluster(n * 500_000, (n + 1) * 500_000, n % 2 == 0)).collect());
    assert_eq!(given(&mut queue), 3, "the limit holds");
    queue.persist(1, WallTime::from_micros(0), 1000);
    assert_eq!((queue.released(), given(&mut queue)), (2, 2));
    queue.persist(2, WallTime::from_millis(999), 1000);
    assert_eq!((queue.released(), given(&mut queue)), (4, 1));
    assert!(queue.is_given());
}

#[test]
fn what_is_acknowledged_again_is_neither_progress_nor_a_result() {
    let mut queue = queue((0..4).map(|n| cluster(n * 1_000_000, (n + 1) * 1_000_000, true)).collect());
    for _ in 0..3 {
        let _sent = given(&mut queue);
        queue.persist(7, WallTime::from_micros(0), 1000);
        assert_eq!((queue.persisted(), queue.released()), (1, 1));
        queue.rewind();
    }
}

#[test]
fn a_sample_that_is_shorter_than_a_time_is_exact_is_kept() {
    // The shortest Opus packet lasts 2.5 ms.
    let mut queue = queue(vec![cluster(0, 1_000_000, true), cluster(1_000_000, 1_002_500, true)]);
    assert_eq!(given(&mut queue), 2);
    queue.persist(1, WallTime::from_micros(0), 1000);
    assert_eq!(queue.released(), 1);
}

#[test]
fn sound_that_ran_ahead_of_a_key_frame_is_released_with_the_fragment_that_the_frame_ends() {
    let mut queue = queue(vec![cluster(0, 1_400_000, true), cluster(1_000_000, 2_000_000, true)]);
    assert_eq!(given(&mut queue), 2);
    queue.persist(1, WallTime::from_micros(0), 1000);
    assert_eq!(queue.released(), 1);
}
