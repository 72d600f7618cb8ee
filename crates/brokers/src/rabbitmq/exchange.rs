//! A channel to an exchange on which nothing counts as told before the broker has confirmed it.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Confirmation, Connection, ExchangeKind, PublisherConfirm};

use super::{Ours, Topology};

/// Opens the channel. The exchange is made, or only looked for.
pub(super) async fn open(
    connection: &Connection,
    exchange: &str,
    topology: Topology,
) -> Result<Channel, lapin::Error> {
    let channel = connection.create_channel().await?;
    let options = ExchangeDeclareOptions {
        durable: true,
        passive: topology == Topology::Check,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(
            exchange.into(),
            ExchangeKind::Topic,
            options,
            FieldTable::default(),
        )
        .await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    Ok(channel)
}

/// How messages are published: one that no queue takes comes back.
pub(super) fn options() -> BasicPublishOptions {
    BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    }
}

/// Waits until the broker has every message in a queue. `what` is one message, `kind` what the
/// exchange is for.
pub(super) async fn confirmed(
    confirms: Vec<PublisherConfirm>,
    (what, kind): (&str, &str),
) -> Result<(), lapin::Error> {
    for confirm in confirms {
        let (code, words) = match confirm.await? {
            Confirmation::Ack(None) => continue,
            Confirmation::Ack(Some(_)) => {
                let words = format!("no queue is bound to the exchange for {kind}");
                ("no_queue_bound", words)
            }
            Confirmation::Nack(_) | Confirmation::NotRequested => (
                "not_confirmed",
                format!("the broker did not confirm {what}"),
            ),
        };
        return Err(Ours::error(code, words));
    }
    Ok(())
}
