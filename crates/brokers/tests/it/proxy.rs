//! A way to a broker that can be cut and mended.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections while it is whole.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    whole: Arc<watch::Sender<bool>>,
}

impl Proxy {
    pub(crate) async fn to(address: String) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let whole = Arc::new(watch::Sender::new(true));
        let state = Arc::clone(&whole);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (address, mut state) = (address.clone(), state.subscribe());
                if !*state.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(&address).await else {
                        return;
                    };
                    let both = tokio::io::copy_bidirectional(&mut near, &mut far);
                    tokio::select! {
                        _ = both => {}
                        _ = state.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Proxy { port, whole }
    }

    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}
