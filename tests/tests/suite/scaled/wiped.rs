//! A broker that forgets: the store is the truth.

use std::time::Duration;

use clinic_tests::{cluster::Cluster, eventually::eventually, rabbit::Rabbit, size::figure};

use super::{accepted, bookings, claims, settled, steady};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rabbitmq_loses_its_disk() {
    let rabbit = Rabbit::own().await;
    let cluster = Cluster::over(&rabbit).workers(2).set("CLINIC_SIM_DELAY", "0ms..500ms").set("CLINIC_GRACE", "5s").start().await;
    let driving = steady(&cluster, "wiped", bookings(), 100.0);
    accepted(&cluster, bookings() / 3).await;
    rabbit.wipe().await;
    let before = claims(&cluster, "broker").await;
    let queue = cluster.name("booking_queue");
    eventually("the queue declared anew", Duration::from_secs(60), || async { rabbit.amqp().await.depth(&queue).await }).await;
    let tally = driving.await.unwrap();
    cluster.at_rest(super::SETTLES_WITHIN).await;
    let after = claims(&cluster, "broker").await;
    figure(&format!("RabbitMQ wiped: {} claims through it after it came back empty", after - before));
    assert!(after > before, "nothing came by the broker after it was wiped");
    settled(cluster, "RabbitMQ wiped", tally, bookings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_work_queue_is_purged() {
    let rabbit = Rabbit::shared().await;
    // So little at once that most of it waits in the queue.
    let plan = Cluster::over(&rabbit).workers(2).set("CLINIC_CONCURRENCY", "40").set("CLINIC_SIM_DELAY", "200ms..400ms");
    let cluster = plan.set("CLINIC_GRACE", "8s").start().await;
    let driving = steady(&cluster, "purged", bookings(), 1_000.0);
    let amqp = rabbit.amqp().await;
    let queue = cluster.name("booking_queue");
    eventually("messages that wait", Duration::from_secs(60), || async { amqp.depth(&queue).await.filter(|depth| *depth >= 300) }).await;
    let purged = amqp.purge(&queue).await;
    figure(&format!("queue purged: {purged} messages lost"));
    assert!(purged >= 100, "only {purged} messages were purged");
    let tally = driving.await.unwrap();
    settled(cluster, "queue purged", tally, bookings()).await;
}
