//! Pure-FTPd, which only root can start: elsewhere these tests say so and pass.

use std::fs;

use lingqian_io::Fault;
use lingqian_io::files::Taken;
use lingqian_pickup::ftp::Ftp;
use lingqian_pickup::place::Server;
use lingqian_pickup::{Access, PlaceFault};

use crate::servers::{FTP_PASSWORD, large, pure_ftpd, take, user};

fn server(port: u16) -> Server {
    Server {
        user: "lq".into(),
        host: "localhost".into(),
        port,
        folder: "/".into(),
    }
}

fn access(password: &str) -> Access {
    Access {
        password: Some(password.to_owned().into()),
        ..Access::default()
    }
}

fn only_root() -> bool {
    let other = user() != "root";
    if other {
        eprintln!("Pure-FTPd is started by root only: not tested here");
    }
    other
}

#[tokio::test]
async fn a_file_is_taken_in_clear_text_from_this_machine_only() {
    if only_root() {
        return;
    }
    let pure = pure_ftpd(None);
    let ftp = Ftp::new(server(pure.port), access(FTP_PASSWORD), false).expect("it can work");
    assert_eq!(take(&ftp, "b.gz").await, Ok((Taken::Absent, Vec::new())));
    fs::write(pure.path("files/b.gz"), large()).expect("written");
    let (taken, bytes) = take(&ftp, "b.gz").await.expect("taken");
    assert!(taken == Taken::Whole(3_000_017) && bytes == large());
    let wrong = Ftp::new(server(pure.port), access("wrong-77"), false).expect("it can work");
    let taken = take(&wrong, "b.gz").await;
    let Err(Fault::Broken(words)) = taken else {
        panic!("{taken:?}");
    };
    assert!(
        words.starts_with("source_login_refused: ") && !words.contains("77"),
        "{words}"
    );
    let far = Server {
        host: "ftp.bank.test".into(),
        ..server(21)
    };
    let refused = Ftp::new(far.clone(), access("x"), false).expect_err("in clear");
    assert_eq!(refused, PlaceFault::InClear);
    let allowed = Access {
        clear_text: true,
        ..access("x")
    };
    assert!(Ftp::new(far, allowed, false).is_ok());
    assert_eq!(
        Ftp::new(server(21), Access::default(), false).expect_err("none"),
        PlaceFault::NoLogin
    );
}

#[tokio::test]
async fn by_tls_the_server_proves_itself_before_the_password_is_sent() {
    if only_root() {
        return;
    }
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let pure = pure_ftpd(Some(&format!("{key}{pem}")));
    fs::write(pure.path("files/b.gz"), large()).expect("written");
    let believed = Access {
        roots: Some(pem),
        ..access(FTP_PASSWORD)
    };
    let ftps = Ftp::new(server(pure.port), believed, true).expect("it can work");
    let (taken, bytes) = take(&ftps, "b.gz").await.expect("taken");
    assert!(taken == Taken::Whole(3_000_017) && bytes == large());
    // In clear text this server takes no password at all.
    let clear = Ftp::new(server(pure.port), access(FTP_PASSWORD), false).expect("it can work");
    assert!(take(&clear, "b.gz").await.is_err());
    let other = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("another");
    let doubted = Access {
        roots: Some(other.cert.pem()),
        ..access(FTP_PASSWORD)
    };
    let ftps = Ftp::new(server(pure.port), doubted, true).expect("it can work");
    let taken = take(&ftps, "b.gz").await;
    let Err(Fault::Broken(words)) = taken else {
        panic!("{taken:?}");
    };
    assert!(words.starts_with("source_unproved: "), "{words}");
}
