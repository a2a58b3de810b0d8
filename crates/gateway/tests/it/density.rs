//! Fifty numbers in one process, and nothing of them left when they are deleted.

use crate::harness::{World, named};
use flowcore_domain::instance::Status;
use serde_json::json;
use tokio::runtime::Handle;

const NUMBERS: usize = 50;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("the list of open files").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_numbers_work_side_by_side_and_leave_nothing_behind() {
    let world = World::start().await;
    let customer = world.contact("Ana").await;
    let metrics = Handle::current().metrics();
    // Warm-up: what the process keeps for good (pools, a connection to the receiver) is there before
    // the count.
    world.connect("warm-up").await;
    world.hook("warm-up").await;
    world.linked("warm-up").await;
    world.receiver.until("an event", |body| body["data"]["state"] == "open").await;
    world.gateway.instances().delete(&world.caller, &named("warm-up")).await.expect("deleted");
    world.until_idle(&metrics, usize::MAX).await;
    let (tasks, files) = (metrics.num_alive_tasks(), open_files());
    let before = world.ask("/admin/stats").await;

    let names: Vec<String> = (0..NUMBERS).map(|n| format!("shop-{n}")).collect();
    let phones = futures_util::future::join_all(names.iter().map(|name| world.linked(name))).await;
    world.hook("shop-0").await;
    for (name, phone) in names.iter().zip(&phones) {
        let path = format!("/admin/contacts/{customer}/messages");
        world.admin(&path, json!({ "to": phone, "text": format!("to {name}") })).await;
    }
    let (world, customer) = (&world, &customer);
    let replies = names.iter().map(|name| async move {
        let text = format!("from {name}");
        let sent = world.gateway.messages();
        sent.send_text(&world.caller, &named(name), (customer, &text), None).await.expect("sent")
    });
    let sent = futures_util::future::join_all(replies).await;
    assert!(sent.iter().all(|one| one.acknowledged));
    world.customer_has(customer, NUMBERS).await;
    world.receiver.until("a message", |body| body["event"] == "messages.upsert").await;
    for (name, phone) in names.iter().zip(&phones) {
        let view = world.until(name, |view| view.status == Status::Connected).await;
        assert_eq!(view.number.as_ref(), Some(phone));
    }

    for name in &names {
        world.gateway.instances().delete(&world.caller, &named(name)).await.expect("deleted");
    }
    world.until_idle(&metrics, tasks).await;
    let left = metrics.num_alive_tasks();
    assert!(left <= tasks, "tasks are left: {left} against {tasks}");
    assert!(open_files() <= files + 2, "files are left: {} against {files}", open_files());
    let after = world.ask("/admin/stats").await;
    assert_eq!(after["sockets"], before["sockets"]);
    assert_eq!(after["devices"], before["devices"], "phones still show a link");
    world.gateway.stop().await;
}
