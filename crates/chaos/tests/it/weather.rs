//! The proxy does to bytes what the weather says.

use std::time::Duration;

use lingqian_chaos::proxy::Proxy;
use lingqian_chaos::weather::Weather;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Longer than anything here takes that comes at all, however busy the machine is.
const LONG: Duration = Duration::from_secs(20);
/// What has not come after this is held.
const A_WHILE: Duration = Duration::from_millis(400);

/// A proxy in front of somebody who says everything twice.
async fn stand() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut byte = [0];
                while socket.read_exact(&mut byte).await.is_ok() {
                    if socket.write_all(&[byte[0], byte[0]]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    let proxy = Proxy::stand().await.expect("a port");
    proxy.lead_to(vec![addr]);
    proxy
}

async fn call(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.addr()).await.expect("it accepts")
}

/// What comes back for a byte.
async fn said(socket: &mut TcpStream, byte: u8) -> Option<std::io::Result<usize>> {
    if let Err(error) = socket.write_all(&[byte]).await {
        return Some(Err(error));
    }
    heard(socket).await
}

async fn heard(socket: &mut TcpStream) -> Option<std::io::Result<usize>> {
    let mut both = [0; 2];
    timeout(LONG, socket.read_exact(&mut both)).await.ok()
}

/// Whether nothing comes back for a byte for a while.
async fn is_silent(socket: &mut TcpStream, byte: u8) -> bool {
    let mut both = [0; 2];
    socket.write_all(&[byte]).await.expect("it is accepted");
    timeout(A_WHILE, socket.read_exact(&mut both))
        .await
        .is_err()
}

/// After a change everybody who carries has heard of it.
async fn change(proxy: &Proxy, weather: Weather) {
    proxy.weather(weather);
    tokio::time::sleep(Duration::from_millis(30)).await;
}

#[tokio::test]
async fn what_is_held_comes_late_and_what_is_swallowed_never() {
    for weather in [Weather::HeldBoth, Weather::HeldUp, Weather::HeldDown] {
        let proxy = stand().await;
        let mut socket = call(&proxy).await;
        assert!(matches!(said(&mut socket, 1).await, Some(Ok(2))));
        change(&proxy, weather).await;
        assert!(is_silent(&mut socket, 2).await, "{weather:?}");
        change(&proxy, Weather::Clear).await;
        assert!(
            matches!(heard(&mut socket).await, Some(Ok(2))),
            "{weather:?}"
        );
    }
    for weather in [Weather::Hole, Weather::HoleUp, Weather::HoleDown] {
        let proxy = stand().await;
        let mut socket = call(&proxy).await;
        assert!(matches!(said(&mut socket, 1).await, Some(Ok(2))));
        change(&proxy, weather).await;
        assert!(is_silent(&mut socket, 2).await, "{weather:?}");
        change(&proxy, Weather::Clear).await;
        assert!(
            matches!(heard(&mut socket).await, Some(Err(_))),
            "{weather:?}"
        );
        let mut fresh = call(&proxy).await;
        assert!(
            matches!(said(&mut fresh, 3).await, Some(Ok(2))),
            "{weather:?}"
        );
    }
}

#[tokio::test]
async fn a_reset_breaks_connections_that_stand_and_new_ones() {
    let proxy = stand().await;
    let mut socket = call(&proxy).await;
    assert!(matches!(said(&mut socket, 1).await, Some(Ok(2))));
    change(&proxy, Weather::Reset).await;
    assert!(matches!(said(&mut socket, 2).await, Some(Err(_))));
    let mut fresh = call(&proxy).await;
    assert!(matches!(said(&mut fresh, 3).await, Some(Err(_))));
}

#[tokio::test]
async fn half_closed_ends_answers_and_a_bad_way_is_slow() {
    let proxy = stand().await;
    let mut socket = call(&proxy).await;
    assert!(matches!(said(&mut socket, 1).await, Some(Ok(2))));
    change(&proxy, Weather::HalfClosed).await;
    let mut byte = [0];
    let ended = timeout(LONG, socket.read(&mut byte)).await;
    assert!(matches!(ended, Ok(Ok(0))), "{ended:?}");
    assert!(
        socket.write_all(&[2]).await.is_ok(),
        "questions still go out"
    );
    let proxy = stand().await;
    for weather in [Weather::Slow(60), Weather::Trickle] {
        proxy.weather(weather);
        let mut socket = call(&proxy).await;
        assert!(
            matches!(said(&mut socket, 4).await, Some(Ok(2))),
            "{weather:?}"
        );
    }
}
