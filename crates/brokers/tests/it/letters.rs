//! What could not be credited, through RabbitMQ: kept whole, told to an exchange, mended and given
//! again.

use std::sync::Arc;

use lapin::options::BasicGetOptions;
use lapin::types::AMQPValue;
use lingqian_brokers::rabbitmq::{QueueType, RabbitIn, read};
use lingqian_core::control::{Act, Actor};
use lingqian_core::{Outcome, Rejection};
use lingqian_engine::letters::{Refusal, replay};
use lingqian_io::Browse as _;
use lingqian_io::store::{LetterRow, LetterWish};
use tokio::sync::watch;

use crate::rabbitmq::{bind, channel, from, left, name, publish, read_all};
use crate::world::{BYTES_MAX, World, message, reader, until};

fn act() -> Act {
    Act::new(Actor::parse("key:1").expect("a name"), "mended").expect("a reason")
}

async fn letters(world: &World) -> Vec<LetterRow> {
    let wish = LetterWish {
        all: false,
        limit: 99,
    };
    let mut whole = Vec::new();
    for row in world.store.letters(wish).await.expect("reads") {
        let letter = world.store.letter(row.id).await.expect("reads");
        whole.push(letter.expect("it is there"));
    }
    whole.sort_by_key(|row| row.letter.position.clone());
    whole
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_has_the_whole_message_and_is_mended_and_credited_once() {
    let (world, desk) = World::working().await;
    let (queue, (_connection, channel)) = (name("whole"), channel().await);
    let long =
        message("e1", "nobody").replace("{", &format!("{{\"more\":\"{}\",", "零".repeat(5_000)));
    let too_long = "x".repeat(BYTES_MAX + 5_000);
    let messages = [long.clone(), too_long.clone()];
    publish(&channel, &queue, "quorum", &messages).await;
    let intake = world.intake(&desk, "rabbitmq:app");
    read_all(&intake, from(&queue, QueueType::Quorum), 2).await;
    let found = letters(&world).await;
    let [first, second] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(first.letter.code, "unknown_user");
    assert_eq!(first.letter.raw, long.as_bytes(), "every byte of it");
    assert_eq!(first.letter.position, format!("{queue} delivery 1"));
    assert_eq!(second.letter.code, "too_large");
    assert_eq!(second.letter.raw, &too_long.as_bytes()[..BYTES_MAX]);
    // Mended and given twice at once, and the broker brings the mended one, too: it counts once.
    let mended = long.replace("nobody", "alice");
    let read = |_: &str, text: &[u8]| reader().read(None, text);
    let once = || {
        replay(
            &world,
            &desk,
            (first.id.clone(), act()),
            Some(mended.as_bytes()),
            read,
        )
    };
    let both = tokio::join!(once(), once());
    let credited = |done: &Result<Outcome, Refusal>| matches!(done, Ok(Outcome::Credited { .. }));
    assert!(credited(&both.0) != credited(&both.1), "{both:?}");
    let ended = Err(Refusal::Rejected(Rejection::LetterEnded));
    assert_eq!(once().await, ended);
    publish(&channel, &queue, "quorum", &[mended]).await;
    read_all(&intake, from(&queue, QueueType::Quorum), 3).await;
    assert_eq!(intake.figures.seen().duplicates, 1);
    assert_eq!(world.credited().await, 1);
    // The same poison again opens its letter again, and counts.
    publish(&channel, &queue, "quorum", &[long]).await;
    read_all(&intake, from(&queue, QueueType::Quorum), 4).await;
    let again = letters(&world).await;
    let again = again.iter().find(|row| row.id == first.id);
    assert_eq!(again.map(|row| row.times), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_told_to_an_exchange_before_it_is_acknowledged() {
    let (world, desk) = World::working().await;
    let (queue, dead, exchange) = (name("source"), name("dead"), name("dead"));
    let (_connection, channel) = channel().await;
    let poison = message("e1", "nobody");
    let messages = [message("e0", "alice"), poison.clone(), "{".into()];
    publish(&channel, &queue, "quorum", &messages).await;
    let with_exchange = RabbitIn {
        dead_letters: Some(exchange.clone()),
        ..from(&queue, QueueType::Quorum)
    };
    // No queue takes them there: they stay where they are.
    let intake = world.intake(&desk, "rabbitmq:app");
    let (stop, stopped) = watch::channel(false);
    let reading = tokio::spawn(read(intake.clone(), with_exchange.clone(), stopped));
    let figures = Arc::clone(&intake.figures);
    until("it is noticed", || figures.seen().faults >= 1).await;
    stop.send_replace(true);
    reading.await.expect("it ends");
    // The good one may have been booked and acknowledged by itself before.
    let began = std::time::Instant::now();
    let mut waiting = 0;
    while waiting < 2 {
        assert!(
            began.elapsed().as_secs() < 10,
            "they come back to the queue"
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        waiting = left(&channel, &queue).await;
    }
    bind(&channel, &dead, (&exchange, "#")).await;
    let intake = world.intake(&desk, "rabbitmq:app");
    read_all(&intake, with_exchange, u64::from(waiting)).await;
    assert_eq!(left(&channel, &queue).await, 0);
    assert_eq!(world.credited().await, 1);
    let mut told = Vec::new();
    let at_once = BasicGetOptions { no_ack: true };
    while let Some(got) = channel
        .basic_get(dead.as_str().into(), at_once)
        .await
        .expect("reads")
    {
        let headers = got.properties.headers().clone().expect("headers");
        let code = headers.inner().get("lingqian-code").cloned();
        let text = String::from_utf8(got.data.clone()).expect("text");
        told.push((text, code, got.routing_key.to_string()));
    }
    let code = |code: &str| Some(AMQPValue::LongString(code.into()));
    let expected = [
        (poison, code("unknown_user"), queue.clone()),
        ("{".to_owned(), code("malformed_json"), queue),
    ];
    assert_eq!(told, expected);
    // Once each by both ways: as letters, and at the exchange.
    assert_eq!(world.letters().await.len(), 2);
}
